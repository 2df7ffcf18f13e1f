// Debian's Chromium, and what it complains about.

import { chromium } from "playwright-core";

/** Longest wait of an action for its element, and for a page. A busy machine takes seconds. */
const ACTION_MS = 10_000;
const PAGE_MS = 20_000;

/** Zone of the person's machine. The pages show the zone of the office, whatever this is. */
const MACHINE_ZONE = "Pacific/Chatham";

/** Console messages that no claim depends on: answers that a claim asks for, such as 403. */
const EXPECTED_MESSAGE = /^Failed to load resource: the server responded with a status of (4\d\d|503)/;

export class Browser {
  #alarms = [];

  /** @param {string} executable path of Chromium */
  static async launch(executable) {
    const browser = new Browser();
    // Chromium's sandbox needs rights that a container often lacks, and the pages are our own.
    const args = ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb", "--font-render-hinting=none"];
    browser.chromium = await chromium.launch({ executablePath: executable, headless: true, args });
    return browser;
  }

  /**
   * Opens a window of its own, with cookies of its own.
   *
   * @param {import("playwright-core").BrowserContextOptions} options
   */
  async open(options = {}) {
    const context = await this.chromium.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1280, height: 900 },
      timezoneId: MACHINE_ZONE,
      locale: "en-US",
      ...options,
    });
    context.setDefaultTimeout(ACTION_MS);
    context.setDefaultNavigationTimeout(PAGE_MS);
    context.on("page", (page) => this.#listen(page));
    return context.newPage();
  }

  #listen(page) {
    page.on("pageerror", (error) => this.#alarms.push(`script error on ${page.url()}: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.#alarms.push(`dialog on ${page.url()}: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !EXPECTED_MESSAGE.test(text)) {
        this.#alarms.push(`console on ${page.url()}: ${text}`);
      }
    });
    page.on("request", (request) => {
      const { hostname, protocol } = new URL(request.url());
      if (hostname !== "localhost" && protocol !== "data:") this.#alarms.push(`request to ${hostname} from ${page.url()}`);
    });
  }

  /** Returns what pages have complained about since the last call. */
  takeAlarms() {
    return this.#alarms.splice(0);
  }

  async close() {
    await this.chromium.close();
  }
}
