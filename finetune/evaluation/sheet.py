"""Sentences that every voice is asked to say: questions, numbers, near pairs of letters, one word, many words."""

from __future__ import annotations

SHEET = (
    "Salam, sizə necə kömək edə bilərəm?",
    "Bəli.",
    "Xeyr, sağ olun.",
    "Zəhmət olmasa, bir az gözləyin.",
    "Sizi eşitmirəm, bir də deyə bilərsinizmi?",
    "Telefon nömrəniz sıfır əlli iki yüz otuz dörd qırx beş altmış yeddidir?",
    "Hesabınızda on iki manat əlli qəpik var.",
    "Görüşünüz iyirmi altı noyabr, saat on dörd otuza təyin olundu.",
    "Əli əl elədi, El isə getdi.",
    "Qızın adı Günəş, oğlanın adı Ilqardır.",
    "Işığı söndür, içəri gir.",
    "Göl kənarında gül əkdilər, kül isə qaldı.",
    "Şəhərin küçələrində çoxlu çiçək açıb.",
    "Bağda bağban, dağda ovçu var.",
    "Ömər öz öküzünü örüşə apardı.",
    "Xəzər dənizinin sahilində xoş külək əsir.",
    "Jalə jurnalı rəfə qoydu.",
    "Sifarişiniz qəbul edildi, təsdiq üçün bir düyməsini basın.",
    (
        "Bu gün hava yağışlı, sabah isə günəşli olacaq, ona görə də gəzintini bir gün sonraya saxlamaq daha yaxşı "
        "olar, amma siz istəsəniz, biz elə bu gün də şəhərin mərkəzində görüşüb söhbət edə, çay içə bilərik."
    ),
    "Sağ olun, gününüz xoş keçsin!",
)
