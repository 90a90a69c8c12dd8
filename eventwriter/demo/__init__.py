"""`eventwriter demo`: a small text model in numpy that learns from Python's documentation.

    data.py      the passages, and which of them are for validation
    model.py     the layers, the loss, and Adam
    graph.py     the model as a graph
    training.py  the training loop, with callbacks
    run.py       all of these together

Each module imports only from those above it.
"""
