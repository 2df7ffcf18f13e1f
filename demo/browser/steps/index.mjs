// The steps of the walk, in their order: those that count head come before those that add some.

import * as corrections from "./corrections.mjs";
import * as entry from "./entry.mjs";
import * as histories from "./histories.mjs";
import * as hostile from "./hostile.mjs";
import * as jobs from "./jobs.mjs";
import * as keyboard from "./keyboard.mjs";
import * as keys from "./keys.mjs";
import * as lists from "./lists.mjs";
import * as live from "./live.mjs";
import * as looks from "./looks.mjs";
import * as paper from "./paper.mjs";
import * as plain from "./plain.mjs";
import * as search from "./search.mjs";
import * as sites from "./sites.mjs";

/**
 * A step: a name for `--only`, and what it claims.
 *
 * @typedef {(walk: import("../visit.mjs").Walk, claim: (name: string, attempt: () => Promise<string | void>) => Promise<void>)
 *   => Promise<void>} Run
 * @type {{ name: string, run: Run }[]}
 */
export const STEPS = [
  { name: "entry", run: entry.run },
  { name: "jobs", run: jobs.run },
  { name: "search", run: search.run },
  { name: "lists", run: lists.run },
  { name: "paper", run: paper.run },
  { name: "corrections", run: corrections.run },
  { name: "live", run: live.run },
  { name: "plain", run: plain.run },
  { name: "keyboard", run: keyboard.run },
  { name: "looks", run: looks.run },
  { name: "hostile", run: hostile.run },
  { name: "keys", run: keys.run },
  { name: "sites", run: sites.run },
  { name: "histories", run: histories.run },
];
