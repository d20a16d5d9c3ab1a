"""Put an int8 form beside a converted network: python -m benchmarks.peers.make_int8 VERSION.

The converter's own --int8 would refuse: the weights are random, and so is what rounding makes of them. Here it is for
the speed alone.
"""

import dataclasses
import sys
from pathlib import Path

from brain_tumor.contract import INT8_METADATA, INT8_MODEL, METADATA_ASSET
from brain_tumor.metadata import INT8, ModelMetadata
from converter.check.verify import synthetic_images
from converter.int8 import runtime
from converter.int8.quantize import quantized


def main(version: Path) -> None:
    metadata = ModelMetadata.from_json((version / METADATA_ASSET).read_text())
    model = quantized(runtime.load(version), synthetic_images(metadata.image.height, metadata.image.width))
    (version / INT8_MODEL).parent.mkdir(exist_ok=True)
    (version / INT8_METADATA).write_text(dataclasses.replace(metadata, precision=INT8).to_json())
    runtime.save(model, version / INT8_MODEL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
