#!/usr/bin/env python3
"""Time on the air of LoRa packets, in seconds, in floating point: a second opinion.

Written from section 4.1.1.7 of the SX1276 data sheet (rev. 7) and from nothing else. The program's own
formula counts in whole quarters of symbols and nanoseconds; this one does not, so that the two can only
agree by both being right. Prints one line for each case:

    spreading factor, bandwidth in Hz, denominator of the coding rate, preamble symbols, bytes, seconds
"""

import math
import sys

SPREADING_FACTORS = range(7, 13)
BANDWIDTHS_HZ = (7.8e3, 10.4e3, 15.6e3, 20.8e3, 31.25e3, 41.7e3, 62.5e3, 125e3, 250e3, 500e3)
CODING_RATES = (1, 2, 3, 4)  # 4/5 to 4/8, as the sheet's CR
PAYLOADS_BYTES = range(1, 256)
# All lengths with the usual preamble, and some lengths with others.
OTHER_PREAMBLES = (6, 12, 65535)
SOME_BYTES = (1, 16, 50, 255)


def seconds_on_air(sf, bandwidth_hz, cr, preamble, payload_bytes):
    symbol_s = 2.0**sf / bandwidth_hz
    # Mandated where a symbol lasts longer than 16 ms (section 4.1.1.6); none lasts exactly that.
    de = 1 if symbol_s > 16e-3 else 0
    ih = 0  # explicit header
    crc = 1  # CRC on
    coded = (8 * payload_bytes - 4 * sf + 28 + 16 * crc - 20 * ih) / (4 * (sf - 2 * de))
    payload_symbols = 8 + max(math.ceil(coded) * (cr + 4), 0)
    return (preamble + 4.25) * symbol_s + payload_symbols * symbol_s


def cases():
    for sf in SPREADING_FACTORS:
        for bandwidth_hz in BANDWIDTHS_HZ:
            for cr in CODING_RATES:
                for payload_bytes in PAYLOADS_BYTES:
                    yield sf, bandwidth_hz, cr, 8, payload_bytes
                for preamble in OTHER_PREAMBLES:
                    for payload_bytes in SOME_BYTES:
                        yield sf, bandwidth_hz, cr, preamble, payload_bytes


def main():
    for sf, bandwidth_hz, cr, preamble, payload_bytes in cases():
        seconds = seconds_on_air(sf, bandwidth_hz, cr, preamble, payload_bytes)
        sys.stdout.write(f"{sf} {bandwidth_hz:.0f} {cr + 4} {preamble} {payload_bytes} {seconds!r}\n")


if __name__ == "__main__":
    main()
