#!/usr/bin/env python3
"""Posts payloads to a barn, one after the other, until the barn is gone, or COUNT of them are acknowledged.

    ingest.py PORT KEY PREFIX FILE [COUNT]

Appends each payload to FILE as soon as the barn has acknowledged it with 201, and only then. Each payload is an animal
of the batch PREFIX. Ends with 0 when the connection breaks, and with 1 if the barn refuses a payload. With a COUNT, it
ends with 0 only if all were acknowledged.
"""

import http.client
import json
import ssl
import sys

port, key, prefix, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
count = int(sys.argv[5]) if len(sys.argv) > 5 else None
# The certificate is made by the barn itself; this test is not about trust.
context = ssl._create_unverified_context()
TIMEOUT_S = 60

with open(path, "a", encoding="ascii", buffering=1) as acknowledged:
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=context)
        for number in range(count or 1_000_000):
            payload = f"hxb:{prefix}:L{prefix}{number}:U{prefix}{number}"
            body = json.dumps({"payload": payload})
            headers = {"X-API-Key": key, "Content-Type": "application/json"}
            connection.request("POST", "/api/lora/receive", body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status == 201:
                acknowledged.write(payload + "\n")
            elif count or response.status != 503:
                sys.exit(f"{payload}: {response.status} {answer.decode(errors='replace')}")
    except (OSError, http.client.HTTPException) as error:
        print(f"the barn is gone: {error}", file=sys.stderr)
        sys.exit(1 if count else 0)
