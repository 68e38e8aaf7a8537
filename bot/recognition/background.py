"""What callers say that no service line is for. An utterance as near to these as to a candidate means none.

Embeddings of short Azerbaijani sentences are all alike (cosine .8 to .9), so a fixed threshold separates little;
the difference to this background does (docs/recognition.md).
"""

from __future__ import annotations

BACKGROUND = (
    "Mənə musiqi oxu",
    "Futbol oyunu necə qurtardı",
    "Pizza sifariş etmək istəyirəm",
    "Televizorum göstərmir",
    "Sən kimsən",
    "Adın nədir",
    "Səhv zəng eləmişəm",
    "Toyumuz gələn aydır",
    "Qatar nə vaxt yola düşür",
    "Nənəm kənddə yaşayır",
    "İdman zalı axtarıram",
    "Ev kirayələmək istəyirəm",
    "İş axtarıram",
    "Paltar almaq istəyirəm",
    "Ayaqqabının ölçüsü neçədir",
    "Gül sifariş etmək istəyirəm",
    "Kompüterim işləmir",
    "Soyuducum xarab olub",
    "Şəkil çəkdirmək istəyirəm",
    "Muzeyə getmək istəyirik",
    "Dənizə nə vaxt gedirik",
    "Bağda ağac əkirəm",
    "Pişiyim itib",
    "Bacım universitetdə oxuyur",
    "Bayramınız mübarək",
    "Ad günüm sabahdır",
    "Çox sağ olun",
    "Necəsən",
    "Hə, nə oldu",
    "Bir dəqiqə gözləyin",
    "Bilmirəm nə deyim",
    "Bu nə deməkdir",
    "Mən evdəyəm",
    "İndi danışa bilmirəm",
    "Sonra zəng edərəm",
    "Kim danışır",
    "Alo",
    "Bağışlayın",
    "Çay içmək istəyirəm",
    "Xəbərlərdə nə deyirlər",
    "Yuxum gəlir",
    "Baş nazir kimdir",
)
