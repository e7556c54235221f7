"""Takes the last state of each stream from what `read` wrote, for the next `read`.

python3 examples/last_state.py < records.jsonl > state.json
"""

from __future__ import annotations

import json
import sys

messages = (json.loads(line) for line in sys.stdin)
states = (message["state"] for message in messages if message["type"] == "STATE")
last = {json.dumps(state["stream"]["stream_descriptor"], sort_keys=True): state for state in states}
json.dump(list(last.values()), sys.stdout, indent=2)
