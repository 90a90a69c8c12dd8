"""One folder for each framework. A user imports the folder of the framework that the user has.

A folder has the parts that the framework has use for:

    graph.py      build_graph(model, inputs=None, *, strict=True)
    profile.py    profile_graph(model, inputs, *, strict=True)
    view.py       View(model, optimizer=None, ...), also under its own name, such as TorchView
    callbacks.py  Callbacks(callbacks, *, validation_data=None), TensorBoard(log_dir="logs", *, ...)

`eventwriter._frameworks` finds the folder of a model by the name of the folder: there is no list.
A file that begins with an underscore is for its own folder only; one beside the folders is shared.
"""
