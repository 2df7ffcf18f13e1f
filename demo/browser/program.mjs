// A barn or an office as a process with a state directory.

import { execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { Hopeless, until } from "./wait.mjs";

/** The environment without settings for barns and offices. */
const PLAIN_ENVIRONMENT = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HERDLINX_")));

/** Returns a port on which nobody listens now. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Returns true if a connection to the port is accepted. */
async function accepts(port) {
  const socket = connect(port, "127.0.0.1");
  const isAccepted = await new Promise((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  });
  socket.destroy();
  return isAccepted;
}

export class Program {
  #child;

  /**
   * @param {string} file the executable
   * @param {string} directory the state directory
   * @param {number} port on 127.0.0.1
   * @param {Record<string, string>} settings as environment variables
   */
  constructor(file, directory, port, settings) {
    Object.assign(this, { file, directory, port, log: `${directory}.log` });
    this.environment = { ...PLAIN_ENVIRONMENT, ...settings };
  }

  /** Starts the process, and waits until it listens. */
  async start() {
    const log = openSync(this.log, "a");
    const args = ["run", "--state-dir", this.directory, "--listen", `127.0.0.1:${this.port}`];
    this.#child = spawn(this.file, args, { env: this.environment, stdio: ["ignore", "ignore", log] });
    closeSync(log);
    await until(`${this.file} listens`, () => {
      if (!this.isRunning) throw new Hopeless(`${this.file} ended; see ${this.log}`);
      return accepts(this.port);
    });
  }

  logText() {
    return readFileSync(this.log, "utf8");
  }

  get isRunning() {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends SIGTERM, waits for the end, and throws if it is no clean one. */
  async stop() {
    if (!this.isRunning) return;
    this.resume();
    this.#child.kill("SIGTERM");
    await until(`${this.file} ends`, () => !this.isRunning);
    if (this.#child.exitCode !== 0) throw new Error(`${this.file} ended with ${this.#child.exitCode}; see ${this.log}`);
  }

  /** Makes the process hang, as a machine without memory or with a dead disk does. */
  hang() {
    this.#child.kill("SIGSTOP");
  }

  resume() {
    this.#child.kill("SIGCONT");
  }

  /** Ends the process at once, whatever it does. */
  kill() {
    if (this.isRunning) this.#child.kill("SIGKILL");
  }

  /** Runs a command on the same state directory, and returns what it prints. */
  run(args, input = "") {
    const options = { env: this.environment, input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] };
    return execFileSync(this.file, [...args, "--state-dir", this.directory], options);
  }

  /** Runs a command that prints a secret alone on the last line, and returns the secret. */
  secret(args) {
    return this.run(args).trimEnd().split("\n").at(-1);
  }

  /** The certificate that the process made at its first start. */
  get certificate() {
    return readFileSync(`${this.directory}/tls/certificate.pem`, "utf8");
  }
}
