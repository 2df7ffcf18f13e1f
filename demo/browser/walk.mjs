// Walks through the pages of an office with a real browser: walk.mjs --programs DIRECTORY --output DIRECTORY [OPTION...]
//
// Starts a barn with a herd of four lots and an office, both as the shipped programs, and does what people come for. Each
// claim is printed with its result; the last lines are a table. Ends with 1 if a claim fails. `.ci/browser` installs what
// is needed, and has the options.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Browser } from "./browser.mjs";
import { Claims } from "./claims.mjs";
import { Calendar } from "./days.mjs";
import { makeHerd } from "./herd.mjs";
import { takePictures } from "./pictures.mjs";
import { STEPS } from "./steps/index.mjs";
import { Walk } from "./visit.mjs";
import { Yard } from "./yard.mjs";

const { values: options } = parseArgs({
  options: {
    programs: { type: "string" },
    output: { type: "string" },
    chromium: { type: "string", default: "/usr/bin/chromium" },
    only: { type: "string", multiple: true, default: [] },
    pictures: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});

/** Returns the steps that `--only` names, in the order of the walk. */
function chosenSteps() {
  const unknown = options.only.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length > 0) {
    console.error(`no step is called ${unknown.join(", ")}; steps: ${STEPS.map((step) => step.name).join(", ")}`);
    process.exit(2);
  }
  return STEPS.filter((step) => options.only.length === 0 || options.only.includes(step.name));
}

async function runSteps(steps, walk) {
  const claims = new Claims(() => walk.browser.takeAlarms(), (name) => walk.keepEvidence(name));
  for (const step of steps) {
    claims.startStep(step.name);
    try {
      await step.run(walk, (claim, attempt) => claims.claim(claim, attempt));
    } catch (error) {
      await claims.claim("the step runs to its end", () => Promise.reject(error));
    }
    await walk.closeWindows();
  }
  claims.printSummary();
  return claims.allHeld;
}

async function main() {
  const steps = chosenSteps();
  const output = resolve(options.output);
  rmSync(join(output, "failures"), { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const work = mkdtempSync(join(output, "walk-"));
  const calendar = new Calendar();
  const herd = makeHerd(calendar);
  const yard = await Yard.create(resolve(options.programs), work, calendar.zone);
  const browser = await Browser.launch(options.chromium);
  let isGood = false;
  try {
    await yard.start(herd.reads);
    const walk = new Walk({ yard, browser, calendar, herd, output });
    console.log(`${herd.reads.length} reads, ${yard.address}, zone ${calendar.zone}`);
    isGood = options.pictures ? await takePictures(walk, resolve(options.pictures)) : await runSteps(steps, walk);
  } finally {
    await browser.close();
    await yard.stop();
    if (isGood && !options.keep) rmSync(work, { recursive: true });
    else console.log(`The files are in ${work}`);
  }
  return isGood;
}

process.exitCode = (await main()) ? 0 : 1;
