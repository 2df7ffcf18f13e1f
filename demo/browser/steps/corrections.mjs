// Corrections by the forms of the pages: applied once, refused with the reason, and never typed in vain.

import { NotThere, ensure, equal } from "../claims.mjs";
import { hasNoFaults } from "../faults.mjs";
import { alarm, openAnimal, send, unfold, waitUntilApplied } from "../forms.mjs";
import { OWNER, logIn } from "../visit.mjs";
import { until } from "../wait.mjs";

export async function run(walk, claim) {
  const { yard, herd, calendar } = walk;
  const person = await walk.owner();
  const { page } = person;

  await claim("a weight corrected on its day changes the gain, and keeps its day", async () => {
    await openAnimal(person, herd.wrongGain);
    const before = gain(await person.text());
    const form = await unfold(person, "Correct a weight");
    const choices = await form.getByRole("option").allInnerTexts();
    const [wrong] = choices.filter((choice) => choice.includes(calendar.date(-1)));
    ensure(wrong, `no weighing of ${calendar.date(-1)} among: ${choices.join("; ")}`);
    await person.choose(form.getByRole("combobox"), wrong);
    await person.fill(form.getByLabel(/^(New )?weight/i), (herd.wrongGain.kg + 5).toFixed(1));
    await send(person, form, "Correct a weight", "the gate stood on the scale");
    await waitUntilApplied(person);
    const after = gain(await person.text());
    ensure(before > 10 && after > 0 && after < 3, `the gain was ${before} kg a day and is ${after}`);
    const weights = await person.page.getByRole("region", { name: "Weights" }).innerText();
    ensure(weights.includes(calendar.date(-1)), `no weight of ${calendar.date(-1)}: ${weights}`);
    return `${before} to ${after} kg a day`;
  });
  await claim("two clicks on the button make one correction", async () => {
    await openAnimal(person, herd.of("24-119")[7]);
    const form = await unfold(person, "Move to a pen");
    await person.fill(form.getByLabel("Pen"), "P21");
    await person.fill(form.getByLabel("Reason"), "P2 was full");
    await form.getByRole("button").dblclick();
    await waitUntilApplied(person);
    equal("corrections in the history", await page.getByText("P2 was full").count() > 0, true);
    equal("corrections", await corrections(person, "P2 was full"), 1);
  });
  await claim("while the barn is away a correction is refused, and what was typed survives", async () => {
    await openAnimal(person, herd.of("24-119")[8]);
    const form = await unfold(person, "Move to a pen");
    await person.fill(form.getByLabel("Pen"), "P22");
    await yard.barn.stop();
    try {
      await send(person, form, "Move to a pen", "lame, <to> the \"sick\" pen & back");
      ensure(/barn|connected|away/i.test(await alarm(person)), `the alert says: ${await alarm(person)}`);
      equal("pen", await page.getByLabel("Pen", { exact: true }).inputValue(), "P22");
      equal("reason", await page.getByLabel("Reason").inputValue(), "lame, <to> the \"sick\" pen & back");
    } finally {
      await yard.barn.start();
      await yard.waitUntilLive();
    }
    await person.follow(page.getByRole("button", { name: "Move to a pen" }));
    await waitUntilApplied(person);
    equal("corrections", await corrections(person, "lame, <to>"), 1);
  });
  await claim("while the barn hangs a correction is not taken for done, and what was typed survives", async () => {
    await openAnimal(person, herd.of("24-119")[14]);
    const form = await unfold(person, "Move to a pen");
    await person.fill(form.getByLabel("Pen"), "P26");
    yard.barn.hang();
    try {
      await send(person, form, "Move to a pen", "wild");
      const why = await alarm(person);
      equal("pen", await page.getByLabel("Pen", { exact: true }).inputValue(), "P26");
      return `"${why}"`;
    } finally {
      yard.barn.resume();
      await yard.waitUntilLive();
    }
  });
  await claim("a correction that the barn refuses comes back with the reason, as it was typed", async () => {
    await openAnimal(person, herd.of("24-119")[9]);
    const form = await unfold(person, "Change a tag");
    await person.fill(form.getByLabel("Tag", { exact: true }).or(form.getByLabel(/new tag/i)), herd.of("24-119")[10].lf);
    await send(person, form, "Change a tag", "read by hand");
    const why = await alarm(person);
    equal("reason", await page.getByLabel("Reason").inputValue(), "read by hand");
    return `"${why}"`;
  });
  await claim("what was typed survives the end of the session", async () => {
    await openAnimal(person, herd.of("24-119")[12]);
    const form = await unfold(person, "Move to a pen");
    await person.fill(form.getByLabel("Pen"), "P23");
    await page.context().clearCookies();
    await send(person, form, "Move to a pen", "thin");
    await logIn(person);
    equal("pen", await page.getByLabel("Pen", { exact: true }).inputValue(), "P23");
    equal("reason", await page.getByLabel("Reason").inputValue(), "thin");
    await person.follow(page.getByRole("button", { name: "Move to a pen" }));
    await waitUntilApplied(person);
    await walk.remember(person);
  });
  await claim("a viewer sees no forms, and a form that is sent all the same is refused", async () => {
    const viewer = await walk.user("Vera", "viewer");
    await openAnimal(viewer, herd.whole);
    equal("forms that correct", await viewer.page.locator("main form[method=post]").count(), 0);
    const token = await viewer.page.locator("form.user [name=form_token]").inputValue();
    const form = { form_token: token, key: "forged", action: "move_pen", pen: "P1", reason: "none" };
    const headers = { Origin: yard.address, "Sec-Fetch-Site": "same-origin" };
    const answer = await viewer.page.request.post(`${viewer.page.url()}/correct`, { form, headers });
    equal("status", answer.status(), 403);
  });
  await claim("the log says who changed what, from what, to what, and why", async () => {
    await person.startAt("/");
    const link = page.getByRole("navigation").getByRole("link", { name: "Log", exact: true });
    if ((await link.count()) === 0) throw new NotThere("the bar has no Log");
    await person.follow(link);
    const text = await person.text();
    const missing = [OWNER, "the gate stood on the scale", "P2 was full", "P21"].filter((word) => !text.includes(word));
    equal("missing on the page", missing, []);
  });
  await claim("a rejected read is an event after a merge, once it is reprocessed on the page of reads", async () => {
    await yard.deliver("hxb:TWINS:LF771:UHF771");
    await yard.deliver("hxb:TWINS:LF772:UHF772");
    const { body } = await yard.deliver("hxb:TWINS:LF771:UHF772");
    equal("the barn's answer", body.success, false);
    const id = async (tag) => {
      await until(`${tag} is found`, async () => {
        await person.startAt(`/search?q=${tag}`);
        return /\/animals\/\d+$/.test(new URL(page.url()).pathname);
      });
      return new URL(page.url()).pathname.split("/").at(-1);
    };
    const absorbed = await id("LF772");
    await id("LF771");
    const form = await unfold(person, "Merge another animal");
    await person.fill(form.getByLabel("Id of the other animal"), absorbed);
    await send(person, form, "Merge another animal", "one animal, read twice");
    await waitUntilApplied(person);
    await person.startAt("/");
    await person.follow(page.getByRole("navigation").getByRole("link", { name: "Reads", exact: true }));
    await person.follow(page.locator("nav.choices a", { hasText: "Rejected" }));
    const reprocess = await unfold(person, "Reprocess rejected payloads");
    await hasNoFaults(person);
    await person.follow(reprocess.getByRole("button", { name: "Reprocess" }));
    const told = await page.getByRole("status").filter({ hasText: "judged again" }).innerText();
    ensure(/\b1 is an event now/.test(told), `the page says: ${told}`);
    await hasNoFaults(person);
    const event = page.locator("main a[href*='/payloads/']").first();
    const path = await event.getAttribute("href");
    await until("the read is an event", async () => {
      await person.startAt(path);
      return (await person.text()).includes("LF771:UHF772") && !(await person.text()).includes("Rejected");
    });
    return `"${told}", ${person.count}`;
  });
  await until("the office follows the barn", () => yard.waitUntilLive().then(() => true));
}

/** Returns the daily gain that a page of an animal states, in kilograms. */
function gain(text) {
  const [, number] = text.match(/gain[^\d-]*(-?\d+(?:\.\d+)?)/i) ?? [];
  if (number === undefined) throw new NotThere("the page of an animal states no gain");
  return Number(number);
}

/** Counts the corrections of the animal's history with this reason. */
async function corrections(person, reason) {
  return person.page.getByRole("region", { name: "History" }).getByText(reason).count();
}
