// An open page: it shows a read at the barn without a reload, and says by itself when it is not current.

import { NotThere, ensure, equal } from "../claims.mjs";
import { LATER_MS, SOON_MS, until } from "../wait.mjs";

export async function run(walk, claim) {
  const { yard, calendar } = walk;
  const person = await walk.owner();
  const { page } = person;
  const line = page.locator("#live");
  const mark = line.locator(".mark").first();

  const open = async () => {
    await person.startAt("/");
    if ((await line.count()) === 0) throw new NotThere("no page has a live line yet");
    await until("the page is live", async () => /^live/i.test(await mark.innerText()), LATER_MS);
    // A reload would lose this.
    await page.evaluate(() => (window.isSamePage = true));
  };
  const isSamePage = () => page.evaluate(() => window.isSamePage === true);

  await claim("a read at the barn is on an open page without a reload", async () => {
    await open();
    const { status } = await yard.deliver("hxb:TEST001:LF999:UHF888");
    equal("the barn's answer", status, 201);
    const began = Date.now();
    await until("the live line tells of it", async () => /now|\b\d s ago/.test(await line.innerText()));
    const lineMs = Date.now() - began;
    await until("TEST001 is on the page", async () => (await person.text()).includes("TEST001"));
    ensure(await isSamePage(), "the page was loaded again");
    return `live line after ${lineMs} ms, TEST001 after ${Date.now() - began} ms`;
  });
  await claim("a page is left alone while somebody writes into it, and is current after that", async () => {
    await open();
    const field = page.locator("main input[type=date]");
    if ((await field.count()) === 0) throw new NotThere("Today has no field for a day");
    await field.focus();
    await page.evaluate(() => (document.getElementById("main").isOld = true));
    const isOld = () => page.evaluate(() => document.getElementById("main").isOld === true);
    await yard.deliver("hxb:TEST001:LF998:UHF887");
    await until("the live line counts three seconds", async () => /[3-9] s ago/.test(await line.innerText()));
    ensure(await isOld(), "the page was replaced under the field");
    await field.blur();
    await until("the page is current", async () => !(await isOld()));
  });
  await claim("the mark turns by itself when the barn is stopped, and back when it is there again", async () => {
    await open();
    await yard.barn.stop();
    const word = await until("the mark turns", async () => notLive(await mark.innerText()), LATER_MS);
    await yard.barn.start();
    await until("the mark turns back", async () => /^live/i.test(await mark.innerText()), LATER_MS);
    ensure(await isSamePage(), "the page was loaded again");
    return `"${word}"`;
  });
  await claim("the mark turns by itself when the barn hangs, and back when it goes on", async () => {
    await open();
    yard.barn.hang();
    const word = await until("the mark turns", async () => notLive(await mark.innerText()), LATER_MS);
    yard.barn.resume();
    await until("the mark turns back", async () => /^live/i.test(await mark.innerText()), LATER_MS);
    return `"${word}"`;
  });
  await claim("the mark turns by itself when the page's stream is cut, and says since when in the office's zone", async () => {
    await open();
    yard.office.hang();
    try {
      const word = await until("the mark turns", async () => notLive(await mark.innerText()), LATER_MS);
      const hour = new Date(Date.now() + calendar.offsetMs).toISOString().slice(11, 13);
      const minutesApart = word.match(/(\d\d):\d\d/) ? word.match(/(\d\d):\d\d/)[1] === hour : true;
      ensure(minutesApart || new Date().getUTCMinutes() < 2, `"${word}" is not of ${calendar.zone}, where it is ${hour} h`);
      return `"${word}"`;
    } finally {
      yard.office.resume();
    }
  });
  await claim("an open page of a session that ended leads to the log-in", async () => {
    await open();
    const other = await walk.stranger();
    await other.page.context().addCookies(await page.context().cookies());
    await other.startAt("/");
    await other.click(other.page.locator("form.user summary"));
    await other.follow(other.page.getByRole("button", { name: "Log out", exact: true }));
    await until("the open page leaves", async () => page.url().includes("/login"), SOON_MS);
    await walk.renew();
  });
}

/** Returns the text of a mark that says that the page is not current, else `undefined`. A pull may come before it. */
function notLive(text) {
  return /^(live|pulling)/i.test(text) ? undefined : text;
}
