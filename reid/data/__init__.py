"""Pictures of people and who is on them."""

from reid.data.dataset import Dataset, count_people
from reid.data.known import Known
from reid.data.layouts import open_dataset, open_datasets
from reid.data.pictures import (
    PICTURE_SUFFIXES,
    DataError,
    FolderImages,
    ImageStore,
    PictureError,
    Pictures,
    Record,
    TarImages,
    decode,
    read_pictures,
)

__all__ = [
    "PICTURE_SUFFIXES",
    "DataError",
    "Dataset",
    "FolderImages",
    "ImageStore",
    "Known",
    "PictureError",
    "Pictures",
    "Record",
    "TarImages",
    "count_people",
    "decode",
    "open_dataset",
    "open_datasets",
    "read_pictures",
]
