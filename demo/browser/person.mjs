// A person in front of a page, whose clicks and keys are counted.

import { NotThere } from "./claims.mjs";

export class Person {
  /** @param {import("playwright-core").Page} page */
  constructor(page, address) {
    Object.assign(this, { page, address, clicks: 0, keys: 0 });
  }

  /** Opens an address as if it were open already: this does not count. */
  async startAt(path) {
    const response = await this.page.goto(`${this.address}${path}`);
    this.clicks = 0;
    this.keys = 0;
    return response;
  }

  /** Clicks the first of the elements. */
  async click(locator) {
    await (await this.find(locator)).click();
    this.clicks += 1;
  }

  /** Types a text where the focus is. */
  async type(text) {
    await this.page.keyboard.type(text);
    this.keys += [...text].length;
  }

  /** Replaces what a field has. The click into it counts. */
  async fill(locator, text) {
    await (await this.find(locator)).fill(text);
    this.clicks += 1;
    this.keys += [...text].length;
  }

  async choose(locator, label) {
    await (await this.find(locator)).selectOption(label);
    this.clicks += 1;
  }

  async press(key) {
    await this.page.keyboard.press(key);
    this.keys += 1;
  }

  /** Clicks into the search box, types, and presses Enter. */
  async search(text) {
    await this.click(this.page.getByRole("searchbox"));
    await this.page.keyboard.press("ControlOrMeta+a");
    await this.type(text);
    await this.#follow(() => this.press("Enter"));
  }

  /** Clicks what leads to another page, and waits for that page. */
  async follow(locator) {
    const element = await this.find(locator);
    this.clicks += 1;
    await this.#follow(() => element.click());
  }

  async #follow(act) {
    await Promise.all([this.page.waitForEvent("load"), act()]);
  }

  /** Clicks a link to a file, and returns the file's text. */
  async download(locator) {
    const element = await this.find(locator);
    this.clicks += 1;
    const [download] = await Promise.all([this.page.waitForEvent("download"), element.click()]);
    const stream = await download.createReadStream();
    const parts = [];
    for await (const part of stream) parts.push(part);
    return { name: download.suggestedFilename(), text: Buffer.concat(parts).toString("utf8") };
  }

  /** Returns the first visible one of the elements, or throws `NotThere`. */
  async find(locator) {
    const visible = locator.filter({ visible: true }).first();
    try {
      await visible.waitFor({ state: "visible", timeout: 5_000 });
    } catch {
      throw new NotThere(`nothing on ${this.page.url()} is ${locator}`);
    }
    return visible;
  }

  /** Returns the text of the page's main part. */
  async text() {
    return (await this.page.locator("main").innerText()).replaceAll("\u00a0", " ");
  }

  /** Returns the count for the table: `2 clicks, 7 keys`. */
  get count() {
    return `${counted(this.clicks, "click")}, ${counted(this.keys, "key")}`;
  }
}

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
