"""Records on their way to one event file: the queue, the encoder, the thread, the disk."""
