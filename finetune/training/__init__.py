"""The training run: model, loss, batches, loop, checkpoints. Imports tts_engine.model and finetune.data.corpus."""
