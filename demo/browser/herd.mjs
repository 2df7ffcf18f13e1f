// The herd of the walk: four lots in nine days, with everything that people come to the office for.
//
// Each animal is inducted, gets its tags, and is weighed. A few lack a tag or a weight, one weight is a tenth of what it
// should be, some reads are weak, malformed or missing. The facts at the end are what the pages must say about it.

/**
 * @typedef {{ at_us: number, channel: string, payload: string, rssi_dbm?: number, synchronized?: boolean }} Read
 * @typedef {{ lid: number, lf: string, epc: string, visual: string, lot: string, pen: string, kg: number }} Head
 */

const SECOND_US = 1_000_000;
/** Time between two animals in the chute. */
const EACH_US = 75 * SECOND_US;

/** Lots, in the order of their arrival. `pens` has the number of head in each. */
const LOTS = [
  { lot: "24-117", day: -8, clock: "08:00", pens: { P4: 60 }, funder: "Hill Country Beef", sex: "Steer", kg: 268 },
  { lot: "24-118", day: -5, clock: "08:00", pens: { P7: 180 }, funder: "Red River LLC", sex: "Heifer", kg: 241 },
  { lot: "24-119", day: -1, clock: "13:20", pens: { P2: 48 }, funder: "Southwest Cattle Co", sex: "Steer", kg: 255 },
  { lot: "24-120", day: 0, clock: "08:10", pens: { P9: 28, P10: 17 }, funder: "Prairie Feedlot Partners", sex: "Steer", kg: 262 },
];

/** Lot of today, of the print view, and the exports of both days. */
export const [TODAYS_LOT, LARGE_LOT, TODAYS_EXPORT, YESTERDAYS_EXPORT] = ["24-120", "24-118", "EXP-0412", "EXP-0411"];

/** Exceptions within a lot, by the index of the animal in it. */
const EXCEPTIONS = {
  "24-119": { noEpc: [2, 11, 29], noLf: [5, 20] },
  "24-120": { noEpc: [3, 17], noLf: [30], refused: [8, 21], unweighed: [40], tenth: [12] },
};

/** Animals of the large lot that were weighed again yesterday; the scale was wrong about the last one. */
const WEIGHED_AGAIN = 40;
const WRONG_BY_KG = 60;

/** Signal of the reader at the ramp when a truck stands before it. */
const WEAK_DBM = -118;

/** Builds the reads. */
class Herd {
  #counters = {};

  constructor(calendar) {
    this.calendar = calendar;
    /** @type {Read[]} */
    this.reads = [];
    /** @type {Head[]} */
    this.head = [];
  }

  add(at_us, channel, payload, more = {}) {
    this.reads.push({ at_us, channel, payload, rssi_dbm: -72 - (this.reads.length % 17), ...more });
  }

  /** Returns the next id of a kind of event. `skip` leaves numbers out, as reads that were never received. */
  id(kind, skip = 0) {
    this.#counters[kind] = (this.#counters[kind] ?? 0) + 1 + skip;
    return `hxb${kind}${String(this.#counters[kind]).padStart(6, "0")}`;
  }

  induct({ lot, day, clock, pens, funder, sex, kg }) {
    const start = this.calendar.at(day, clock);
    const places = Object.entries(pens).flatMap(([pen, head]) => Array(head).fill(pen));
    places.forEach((pen, at) => {
      const animal = this.#newHead(lot, pen, kg);
      this.head.push(animal);
      const traits = `funder:${funder}|lot:${lot}|pen:${pen}|lid:${animal.lid}|sex:${sex}|tag_color:Yellow`;
      const us = start + at * EACH_US;
      this.add(us, "chute", `event:${this.id("ind")}|${traits}|visual_id:${animal.visual}`);
      this.#tag(animal, us + 20 * SECOND_US, at, EXCEPTIONS[lot] ?? {});
      this.#weigh(animal, us + 45 * SECOND_US, at, EXCEPTIONS[lot] ?? {});
    });
  }

  #newHead(lot, pen, kg) {
    const lid = this.head.length + 1;
    const lf = `124000${String(310_255_700 + lid * 37)}`;
    const epc = `E28011606000020444${(0x310b00 + lid * 53).toString(16).toUpperCase()}`;
    // Scattered over 48 kg, and the same in every run.
    const weight = kg - 24 + ((lid * 7_919) % 481) / 10;
    return { lid, lf, epc, visual: `Y${2000 + lid}`, lot, pen, kg: weight };
  }

  #tag(animal, us, at, { noEpc = [], noLf = [] }) {
    const lf = noLf.includes(at) ? "" : `|lf:${animal.lf}`;
    const epc = noEpc.includes(at) ? "" : `|epc:${animal.epc}`;
    this.add(us, "table", `event:${this.id("pai")}|lid:${animal.lid}${lf}${epc}`);
  }

  #weigh(animal, us, at, { refused = [], unweighed = [], tenth = [] }) {
    if (unweighed.includes(at)) return;
    const kg = refused.includes(at) ? 5000 : tenth.includes(at) ? animal.kg / 10 : animal.kg;
    this.add(us, "scale", `event:${this.id("chi", at === 25 ? 2 : 0)}|lid:${animal.lid}|weight:${kg.toFixed(1)}`);
  }

  weighAgain() {
    this.of(LARGE_LOT).slice(0, WEIGHED_AGAIN).forEach((animal, at) => {
      const gain = 4.5 + (at % 5) * 0.6 + (at === WEIGHED_AGAIN - 1 ? WRONG_BY_KG : 0);
      const us = this.calendar.at(-1, "09:30") + at * EACH_US;
      this.add(us, "scale", `event:${this.id("chi")}|lid:${animal.lid}|weight:${(animal.kg + gain).toFixed(1)}`);
    });
  }

  export(batch, day, clock, from, to) {
    this.of("24-117").slice(from, to).forEach((animal, at) => {
      const us = this.calendar.at(day, clock) + at * EACH_US;
      this.add(us, "ramp", `hxe:${batch}:${animal.lf}:${animal.epc}`, { rssi_dbm: WEAK_DBM + (at % 3) });
    });
  }

  /** Reads that somebody has to look at: malformed ones, a foreign tag on an animal, a clock that was not set. */
  oddReads() {
    const { calendar } = this;
    ["08:41", "09:02", "09:26"].forEach((clock, at) => this.add(calendar.at(0, clock), "chute", `invalid:${at}`));
    this.add(calendar.at(-1, "14:11"), "chute", "hxb:24-119");
    const [animal] = this.of("24-119");
    this.add(calendar.at(-1, "14:40"), "alley", `hxb:24-119:${animal.lf}:E2801160600002044FFFFF01`);
    for (const late of this.of("24-119").slice(40, 43)) {
      this.add(calendar.at(-1, "16:30"), "alley", `hxb:24-119:${late.lf}:${late.epc}`, { synchronized: false });
    }
  }

  of(lot) {
    return this.head.filter((animal) => animal.lot === lot);
  }
}

/**
 * Returns the reads of a herd in the order of their times, its head, and what the pages must say about it.
 *
 * @param {import("./days.mjs").Calendar} calendar
 */
export function makeHerd(calendar) {
  const herd = new Herd(calendar);
  LOTS.forEach((lot) => herd.induct(lot));
  herd.weighAgain();
  herd.export(YESTERDAYS_EXPORT, -1, "15:10", 0, 5);
  herd.export(TODAYS_EXPORT, 0, "10:30", 5, 17);
  herd.oddReads();
  const reads = herd.reads.sort((left, right) => left.at_us - right.at_us);
  const todays = herd.of(TODAYS_LOT);
  const { noEpc, noLf, refused, unweighed, tenth } = EXCEPTIONS[TODAYS_LOT];
  const facts = {
    headInToday: todays.length,
    headOutToday: 12,
    byPenToday: LOTS.at(-1).pens,
    headInYesterday: herd.of("24-119").length,
    headOutYesterday: 5,
    onTheYard: herd.head.length - 17,
    weighedToday: todays.length - refused.length - unweighed.length,
    missingToday: noEpc.length + noLf.length,
    missing: noEpc.length + noLf.length + EXCEPTIONS["24-119"].noEpc.length + EXCEPTIONS["24-119"].noLf.length,
    rejectedToday: 3,
    weakToday: 12,
  };
  const tenthWeight = todays[tenth[0]];
  const wrongGain = herd.of(LARGE_LOT)[WEIGHED_AGAIN - 1];
  return { reads, head: herd.head, facts, tenthWeight, wrongGain, whole: todays[0], of: (lot) => herd.of(lot) };
}
