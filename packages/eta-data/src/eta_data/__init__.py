"""Reads the training sets that eta publishes: one order, equal shards, resumed to the row."""

from eta_data.data_loader import DataLoader, data_loader
from eta_data.encoders import Encoder, Encoders
from eta_data.errors import DamagedError, DataError, OtherDataError
from eta_data.loader import Loader
from eta_data.negatives import Sampler
from eta_data.order import Shard
from eta_data.training_set import TrainingSet

__all__ = [
    "DamagedError",
    "DataError",
    "DataLoader",
    "Encoder",
    "Encoders",
    "Loader",
    "OtherDataError",
    "Sampler",
    "Shard",
    "TrainingSet",
    "data_loader",
]
