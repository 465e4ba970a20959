"""The local model server: Whisper, voices and embeddings behind the OpenAI audio API.

It knows nothing of the product and nobody imports it: the way in is HTTP over a unix socket.
"""

import os

# Before numpy is imported anywhere: its own threads only cost time here (1-30 ms against 1-4 ms).
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
