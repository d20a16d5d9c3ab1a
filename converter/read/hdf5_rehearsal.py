"""Read an HDF5 file once in a process of its own: a damaged file can end the process that reads it, HDF5 checks little.

    python -I converter/read/hdf5_rehearsal.py FILE MOST

Whatever exception is raised, the reader meets it again. Data that unpack to more than MOST bytes are not read.
"""

import sys
from typing import Any

import h5py


def read_all(path: str, most: int) -> None:
    """Read every attribute and every data set of a file."""
    with h5py.File(path, "r") as file:
        left = most

        def read(_: str, part: Any) -> None:
            nonlocal left
            dict(part.attrs)
            if isinstance(part, h5py.Dataset) and not part.external and not part.is_virtual:
                left -= part.nbytes
                if left >= 0:
                    part[()]

        dict(file.attrs)
        file.visititems(read)


if __name__ == "__main__":
    read_all(sys.argv[1], int(sys.argv[2]))
