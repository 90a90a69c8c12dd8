"""`eventwriter demo`: a small text model, trained in numpy on Python's documentation, and its log.

The pieces, each of which knows only those above it:

    data.py      the passages, and their split
    model.py     the layers, and Adam
    training.py  the loop, which reports to listeners
    graph.py     the model as a graph
    progress.py  a listener: the progress bar
    log.py       a listener: what is written for TensorBoard
    run.py       all of these together
"""
