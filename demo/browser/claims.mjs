// Claims: named statements about the office, each of which holds or fails. The walk goes on after one that fails.

import { firstLine } from "./wait.mjs";

/** The page or part that a claim is about does not exist. The claim fails, and says so. */
export class NotThere extends Error {}

/** A result of a claim: `held`, `FAILED` or `NOT THERE`. */
export const HELD = "held";

/** Throws if two values differ. Lists and objects are compared as JSON. */
export function equal(what, found, wanted) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: ${left} instead of ${right}`);
}

/** Throws unless the condition holds. */
export function ensure(condition, what) {
  if (!condition) throw new Error(what);
}

/** Collects the results of the claims, and prints each as it comes. */
export class Claims {
  #results = [];
  #step = "";

  /**
   * @param {() => string[]} alarms returns what the browser has complained about since it was last asked
   * @param {(name: string) => Promise<void>} keepEvidence saves what shows why a claim fails
   */
  constructor(alarms, keepEvidence) {
    Object.assign(this, { alarms, keepEvidence });
  }

  startStep(name) {
    this.#step = name;
    console.log(`\n${name}`);
  }

  /**
   * Tries a claim. What `attempt` returns is shown beside it, such as a count of clicks.
   *
   * A script error, a dialog or a blocked script in any page fails the claim during which it came.
   *
   * @param {string} claim
   * @param {() => Promise<string | void>} attempt
   */
  async claim(claim, attempt) {
    const began = Date.now();
    let [state, note] = [HELD, ""];
    try {
      note = (await attempt()) ?? "";
      const alarms = this.alarms();
      if (alarms.length > 0) throw new Error(alarms.join("; "));
    } catch (error) {
      state = error instanceof NotThere ? "NOT THERE" : "FAILED";
      note = error.message;
      await this.keepEvidence(`${this.#step}-${this.#results.length}`);
      this.alarms();
    }
    const result = { step: this.#step, claim, state, note, ms: Date.now() - began };
    this.#results.push(result);
    console.log(`  ${state.padEnd(9)} ${claim}${note ? `: ${state === HELD ? note : shorten(note)}` : ""}`);
  }

  /** Returns true if there were claims, and all of them held. */
  get allHeld() {
    return this.#results.length > 0 && this.#results.every((result) => result.state === HELD);
  }

  /** Prints a table of all steps, and the claims that do not hold. */
  printSummary() {
    const steps = [...new Set(this.#results.map((result) => result.step))];
    const rows = steps.map((step) => {
      const results = this.#results.filter((result) => result.step === step);
      const held = results.filter((result) => result.state === HELD).length;
      const seconds = results.reduce((sum, result) => sum + result.ms, 0) / 1000;
      return [step, `${held} of ${results.length}`, `${seconds.toFixed(1)} s`];
    });
    console.log(`\n${table(["step", "held", "time"], rows)}`);
    for (const { step, claim, state, note } of this.#results.filter((result) => result.state !== HELD)) {
      console.log(`${state}: ${step}: ${claim}: ${shorten(note)}`);
    }
  }
}

/** Returns a table in Markdown. */
export function table(head, rows) {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at].length)));
  const line = (row) => `| ${row.map((cell, at) => cell.padEnd(widths[at])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** Maximum length of a message in the output. */
const SHOWN_CHARS = 400;

function shorten(text) {
  const line = text.includes("\n") ? `${firstLine(text)} ${text.split("\n").slice(1, 4).join(" ").trim()}` : text;
  return line.length > SHOWN_CHARS ? `${line.slice(0, SHOWN_CHARS)}...` : line;
}
