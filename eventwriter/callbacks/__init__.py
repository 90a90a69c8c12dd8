"""Callbacks for any training loop. They record training, for TensorBoard and others, or steer it.

Each file in this folder is one callback. `Callback` and the classes that drive callbacks come from
`eventwriter.training`.
"""

from eventwriter.callbacks.activation_logger import ActivationLogger
from eventwriter.callbacks.backup_and_restore import BackupAndRestore
from eventwriter.callbacks.csv_logger import CSVLogger
from eventwriter.callbacks.early_stopping import EarlyStopping
from eventwriter.callbacks.lambda_callback import LambdaCallback
from eventwriter.callbacks.learning_rate_scheduler import LearningRateScheduler
from eventwriter.callbacks.model_checkpoint import ModelCheckpoint
from eventwriter.callbacks.progress_bar import ProgressBar
from eventwriter.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from eventwriter.callbacks.remote_monitor import RemoteMonitor
from eventwriter.callbacks.tensorboard import TensorBoard
from eventwriter.callbacks.terminate_on_nan import TerminateOnNaN
from eventwriter.training.callback import Callback
from eventwriter.training.callback_list import CallbackList
from eventwriter.training.history import History
from eventwriter.training.loop import Loop
from eventwriter.training.model_view import ModelView
from eventwriter.training.numpy_view import NumpyView
from eventwriter.training.recorder import Recorder
from eventwriter.training.saved_state import ModelState
from eventwriter.training.training import Training

__all__ = [
    "ActivationLogger",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Loop",
    "ModelCheckpoint",
    "ModelState",
    "ModelView",
    "NumpyView",
    "ProgressBar",
    "Recorder",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "TensorBoard",
    "TerminateOnNaN",
    "Training",
]
