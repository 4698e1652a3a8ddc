"""The model: configuration, decoder, attention, rotary embeddings, checkpoints on disk."""
