"""Calls a barn with requests, httpx, aiohttp and websockets: clients.py ADDRESS INGEST_KEY READ_KEY."""

import asyncio
import json
import os
import ssl
import sys

import aiohttp
import httpx
import requests
import websockets

ADDRESS, INGEST, READ = sys.argv[1:]
BASE = f"https://{ADDRESS}"
CERTIFICATE = os.environ["SSL_CERT_FILE"]
LARGE = b"x" * 3_000_000
JSON = {"Content-Type": "application/json"}


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r} instead of {wanted!r}")
    print(f"  {what:<60} {found}")


def payload(number):
    return {"payload": f"hxb:PY:LF1{number}:UHF1{number}"}


def try_requests():
    session = requests.Session()
    # A bundle that the environment names would replace the certificate.
    session.trust_env = False
    session.verify = CERTIFICATE
    url = f"{BASE}/api/lora/receive"
    expect("requests: a payload", session.post(url, json=payload(1), headers={"X-API-Key": INGEST}).status_code, 201)
    expect("requests: the same again", session.post(url, json=payload(1), headers={"X-API-Key": INGEST}).status_code, 409)
    large = session.post(url, data=LARGE, headers=JSON | {"X-API-Key": INGEST})
    expect("requests: a large body", large.json()["error"], "payload_too_large")
    large = session.post(url, data=LARGE, headers=JSON)
    expect("requests: a large body without a key", large.json()["error"], "unauthorized")


def try_httpx(context):
    for http2 in (False, True):
        with httpx.Client(http2=http2, verify=context, trust_env=False) as client:
            name = f"httpx, HTTP/{2 if http2 else 1.1}"
            url = f"{BASE}/api/lora/receive"
            stored = client.post(url, json=payload(2 + http2), headers={"X-API-Key": INGEST})
            expect(f"{name}: a payload", (stored.http_version, stored.status_code), (stored.http_version, 201))
            for _ in range(20):
                large = client.post(url, content=LARGE, headers=JSON | {"X-API-Key": "hxb_no"})
                if large.json()["error"] != "unauthorized":
                    sys.exit(f"{name}: {large.text}")
            expect(f"{name}: twenty large bodies with a wrong key", large.json()["error"], "unauthorized")


async def try_aiohttp(context):
    async with aiohttp.ClientSession() as session:
        url = f"{BASE}/api/lora/receive"
        async with session.post(url, json=payload(4), headers={"X-API-Key": INGEST}, ssl=context) as answer:
            expect("aiohttp: a payload", answer.status, 201)
        async with session.post(url, data=LARGE, headers=JSON | {"X-API-Key": INGEST}, ssl=context) as answer:
            expect("aiohttp: a large body", (await answer.json())["error"], "payload_too_large")


async def try_websockets(context):
    url = f"wss://{ADDRESS}/api/events"
    async with websockets.connect(url, ssl=context, additional_headers={"X-API-Key": READ}) as socket:
        expect("websockets: the first message", json.loads(await socket.recv())["event"], "hello")
    expect("websockets: the close code", socket.close_code, 1000)
    async with websockets.connect(url, ssl=context, subprotocols=["herdlinx", READ]) as socket:
        expect("websockets: the key as a subprotocol", socket.subprotocol, "herdlinx")


def main():
    context = ssl.create_default_context(cafile=CERTIFICATE)
    try_requests()
    try_httpx(context)
    asyncio.run(try_aiohttp(context))
    asyncio.run(try_websockets(context))


main()
