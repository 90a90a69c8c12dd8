"""One event file: from framed records, through the queue and the encoder, to the disk."""
