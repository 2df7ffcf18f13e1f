// A barn with a herd, and an office that is paired with it: both as the shipped programs.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
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
    yard.recorder = join(programs, "herdlinx-record");
    for (const name of ["barn", "office"]) mkdirSync(join(work, name), { recursive: true, mode: 0o700 });
    const settings = { HERDLINX_SITE: SITE };
    yard.barn = new Program(join(programs, "herdlinxd"), join(work, "barn"), await freePort(), settings);
    const office = {
      HERDLINX_MIRROR_SYNC_INTERVAL: "1s",
      HERDLINX_MIRROR_TIME_ZONE: zone,
      // As from another machine: this one would be let in without a log-in as long as there are no users.
      HERDLINX_MIRROR_LOCAL_ACCESS: "false",
    };
    yard.office = new Program(join(programs, "herdlinx-mirror"), join(work, "office"), await freePort(), office);
    return yard;
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
    const input = reads.map((read) => `${JSON.stringify(read)}\n`).join("");
    execFileSync(this.recorder, [this.barn.directory], { input, stdio: ["pipe", "ignore", "inherit"] });
    this.ingestKey = this.barn.secret(["key", "add", "scale-house", "--scope", "ingest"]);
    await this.barn.start();
    await this.office.start();
  }

  /** Pairs the office with the barn by the commands, and waits until it has copied everything. */
  async pair() {
    const line = this.barn.secret(["pair"]);
    this.office.run(["add", "--name", SITE, "-"], `${line}\n`);
    await this.waitUntilLive();
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
   * Delivers a payload at the barn over HTTPS, as a reader does.
   *
   * @returns {Promise<{ status: number, body: any }>}
   */
  async deliver(payload) {
    const body = JSON.stringify({ payload });
    const headers = { "Content-Type": "application/json", "X-API-Key": this.ingestKey, "Content-Length": Buffer.byteLength(body) };
    const options = { method: "POST", headers, ca: this.barn.certificate, agent: false, timeout: 10_000 };
    return new Promise((resolve, reject) => {
      const call = request(`https://localhost:${this.barn.port}/api/lora/receive`, options, (response) => {
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
      await this.office.stop();
      await this.barn.stop();
    } finally {
      this.office.kill();
      this.barn.kill();
    }
  }
}
