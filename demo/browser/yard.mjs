// A barn with a herd, and an office that is paired with it: both as the shipped programs.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, renameSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { Program, freePort } from "./program.mjs";
import { LATER_MS, until } from "./wait.mjs";

/** Name of the barn at the office. */
export const SITE = "north-yard";

export class Yard {
  /**
   * @param {string} programs directory with `herdlinxd`, `herdlinx-mirror` and `herdlinx-record`
   * @param {string} work directory for the files
   * @param {string} zone IANA name of the office's time zone
   */
  static async create(programs, work, zone) {
    const yard = new Yard();
    Object.assign(yard, { programs, work, others: [] });
    yard.barn = await yard.#newBarn(SITE);
    const office = { HERDLINX_MIRROR_SYNC_INTERVAL: "1s", HERDLINX_MIRROR_TIME_ZONE: zone };
    const directory = newDirectory(work, "office");
    yard.office = new Program(join(programs, "herdlinx-mirror"), directory, await freePort(), office);
    return yard;
  }

  async #newBarn(site) {
    const directory = newDirectory(this.work, site);
    return new Program(join(this.programs, "herdlinxd"), directory, await freePort(), { HERDLINX_SITE: site });
  }

  /** The address of the office in a browser. */
  get address() {
    return `https://localhost:${this.office.port}`;
  }

  /**
   * Records a herd in the files of the barn, and starts both.
   *
   * @param {import("./herd.mjs").Read[]} reads
   */
  async start(reads) {
    this.#record(this.barn, reads);
    addIngestKey(this.barn);
    await this.barn.start();
    await this.office.start();
  }

  #record(barn, reads) {
    const input = reads.map((read) => `${JSON.stringify(read)}\n`).join("");
    execFileSync(join(this.programs, "herdlinx-record"), [barn.directory], { input, stdio: ["pipe", "ignore", "inherit"] });
  }

  /** Starts another barn with these reads. */
  async addBarn(site, reads) {
    const barn = await this.#newBarn(site);
    this.others.push(barn);
    this.#record(barn, reads);
    // The first command makes the barn's own file; it could not tell a missing one from a lost one beside a log.
    addIngestKey(barn);
    await barn.start();
    return barn;
  }

  /** Stops a barn and keeps its files as they are, for `putOldFilesBack`. */
  async copyFiles(barn) {
    await barn.stop();
    cpSync(barn.directory, `${barn.directory}-old`, { recursive: true });
    await barn.start();
  }

  /** Starts a barn again with the files that were kept, as with the card of before that has recorded these reads since. */
  async putOldFilesBack(barn, reads) {
    await barn.stop();
    renameSync(barn.directory, `${barn.directory}-new`);
    renameSync(`${barn.directory}-old`, barn.directory);
    this.#record(barn, reads);
    await barn.start();
  }

  /** Waits until the office has what the barn has, and gets more as it comes. */
  async waitUntilLive() {
    await until("the office follows the barn", () => this.#isLive(), LATER_MS);
  }

  #isLive() {
    const status = JSON.parse(this.office.run(["status"]));
    const [site] = status.sites ?? [];
    return JSON.stringify(site?.link ?? site).includes("live");
  }

  /** The link by which the first owner gets in, from the log of the office. */
  setupLink() {
    const [path] = this.office.logText().match(/\/welcome\?code=[\w-]+/) ?? [];
    if (!path) throw new Error(`no setup link in ${this.office.log}`);
    return `${this.address}${path}`;
  }

  /**
   * Delivers a payload at a barn over HTTPS, as a reader does.
   *
   * @returns {Promise<{ status: number, body: any }>}
   */
  async deliver(payload, barn = this.barn) {
    const body = JSON.stringify({ payload });
    const headers = { "Content-Type": "application/json", "X-API-Key": barn.ingestKey, "Content-Length": Buffer.byteLength(body) };
    const options = { method: "POST", headers, ca: barn.certificate, agent: false, timeout: 10_000 };
    return new Promise((resolve, reject) => {
      const call = request(`https://localhost:${barn.port}/api/lora/receive`, options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode, body: JSON.parse(text) }));
      });
      call.on("timeout", () => call.destroy(new Error("the barn did not answer in 10 s")));
      call.on("error", reject);
      call.end(body);
    });
  }

  /** Stops both, however the walk ends. A clean stop that fails is an error. */
  async stop() {
    try {
      for (const program of this.#programs) await program.stop();
    } finally {
      for (const program of this.#programs) program.kill();
    }
  }

  get #programs() {
    return [this.office, this.barn, ...this.others];
  }
}

function addIngestKey(barn) {
  barn.ingestKey = barn.secret(["key", "add", "scale-house", "--scope", "ingest"]);
}

function newDirectory(work, name) {
  const directory = join(work, name);
  mkdirSync(directory, { mode: 0o700 });
  return directory;
}
