// Waits for conditions. Nothing in the walk waits for a time.

import { setTimeout as pause } from "node:timers/promises";

/** Pause between two looks at a condition. */
const LOOK_MS = 50;

/** Longest wait for what a page or a process does at once. A busy machine takes seconds. */
export const SOON_MS = 15_000;

/** Longest wait for what takes its time by design: a silent barn is given up after 15 s, and looked for again. */
export const LATER_MS = 60_000;

/** Ends a wait at once: the condition cannot hold any more. */
export class Hopeless extends Error {}

/**
 * Looks until the condition holds, and returns what it returned.
 *
 * @template T
 * @param {string} what the condition in words, for the error
 * @param {() => Promise<T> | T} look returns something falsy, or throws, as long as the condition does not hold
 * @param {number} limitMs
 * @returns {Promise<T>}
 */
export async function until(what, look, limitMs = SOON_MS) {
  const deadline = Date.now() + limitMs;
  let last;
  do {
    try {
      const found = await look();
      if (found) return found;
      last = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    await pause(LOOK_MS);
  } while (Date.now() < deadline);
  throw new Error(`${what}: not within ${limitMs / 1000} s${last ? `; ${firstLine(last.message)}` : ""}`);
}

/** Returns the first line of a text. */
export function firstLine(text) {
  return text.split("\n", 1)[0];
}
