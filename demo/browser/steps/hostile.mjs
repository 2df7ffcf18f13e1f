// Script in every field that a packet can carry, and in what people type: nothing of it runs, and no page breaks.

import { ensure, equal } from "../claims.mjs";
import { crawl, fileName } from "../crawl.mjs";
import { unfold, send, openAnimal, waitUntilApplied } from "../forms.mjs";
import { foreignElements, widths } from "../in_page.mjs";
import { until } from "../wait.mjs";

/** Texts that run if a page shows them without escaping, each in another place of a page. */
const SCRIPTS = [
  "<script>ran()</script>",
  "<img src=x onerror=ran()>",
  '"><svg onload=ran()>',
  "'onfocus='ran()' autofocus='",
  "</textarea></title><script>ran()</script>",
  "javascript:ran()",
  "{{ran()}}${ran()}",
];

/** Texts that break a page or a sheet in other ways: they turn the line around, do not wrap, or are a formula. */
const ODD = ["\u202Egnihtemos\u2066", "W".repeat(60), "=HYPERLINK(\"//x\")", "@SUM(1)"];

/** Payloads with a text in each field of each kind of event. `n` makes ids and tags unique. */
function payloads(text, n) {
  const tag = `98200000${String(7_000_000 + n)}`;
  const traits = ["funder", "lot", "pen", "pen_location", "lot_group", "sex", "tag_color", "visual_id", "notes"];
  const inductions = traits.map((field, at) => {
    const lot = field === "lot" ? "" : "|lot:HOSTILE";
    return `event:hxbind9${n}${at}|lid:9${n}${at}${lot}|${field}:${text}`;
  });
  return [
    ...inductions,
    `event:hxbind9${n}99|lot:HOSTILE|lid:${text}`,
    `event:hxbpai9${n}01|lid:9${n}0|lf:${text}`,
    `event:hxbpai9${n}02|lid:9${n}1|epc:${text}`,
    `event:hxbpai9${n}03|lid:9${n}2|lf:${tag}|${text}:x`,
    `event:hxbchi9${n}01|lid:9${n}3|weight:${text}`,
    `event:hxbrep9${n}01|lid:9${n}2|old_lf:${tag}|new_lf:${text}|reason:${text}`,
    `hxb:${text}:${tag}0:`,
    `hxe:${text}::${text}`,
    `hxb:HOSTILE:${text}:${text}`,
    `event:${text}|lid:1`,
    text,
  ].filter((payload) => Buffer.byteLength(payload) <= 255);
}

export async function run(walk, claim) {
  const { yard } = walk;
  const person = await walk.owner();
  const { page } = person;
  await page.context().addInitScript(() => (window.ran = () => alert("a script of a payload ran")));

  await claim("reads with script in every field arrive while a page is open, and nothing runs", async () => {
    await person.startAt("/");
    const counts = {};
    for (const [n, text] of [...SCRIPTS, ...ODD].entries()) {
      for (const payload of payloads(text, n + 10)) {
        const { status } = await yard.deliver(payload);
        counts[status] = (counts[status] ?? 0) + 1;
      }
    }
    ensure(counts[201] > 100, `few of them are events: ${JSON.stringify(counts)}`);
    await until("the office shows them", async () => {
      await page.goto(`${yard.address}/payloads`);
      return (await person.text()).includes("@SUM(1)");
    });
    return `${counts[201]} events, ${counts[422]} rejected`;
  });
  const [foreign, wide] = [[], []];
  await claim("no page with them runs a script, or has an element of theirs", async () => {
    await page.setViewportSize({ width: 320, height: 640 });
    const hostile = await hostilePaths(person);
    const paths = new Set([...(await crawl(person)).map(({ path }) => path), ...hostile]);
    for (const path of paths) {
      await page.goto(`${yard.address}${path}`);
      const count = await page.evaluate(foreignElements);
      if (count > 0) foreign.push(`${path}: ${count}`);
      const { beyond, cause } = await page.evaluate(widths);
      if (beyond > 0) {
        wide.push(`${path}: by ${beyond} px, ${cause}`);
        await walk.keepEvidence(`hostile-${fileName(path)}`);
      }
    }
    equal("pages with foreign elements", foreign, []);
    return `${paths.size} pages`;
  });
  await claim("no page with them overflows at 320 px", async () => equal("pages that overflow", wide, []));
  await claim("script in the search box, in the address and in a reason does not run", async () => {
    for (const text of [...SCRIPTS, ...ODD]) {
      await person.startAt("/");
      await person.search(text);
      await page.goto(`${yard.address}/batches/${encodeURIComponent(text)}`);
      await page.goto(`${yard.address}/animals?after=${encodeURIComponent(text)}&sort=${encodeURIComponent(text)}`);
      await page.goto(`${yard.address}/login?next=${encodeURIComponent(text)}`);
    }
    await openAnimal(person, walk.herd.of("24-119")[15]);
    const form = await unfold(person, "Move to a pen");
    await person.fill(form.getByLabel("Pen"), SCRIPTS[2]);
    await send(person, form, "Move to a pen", SCRIPTS[1]);
    await waitUntilApplied(person);
    equal("foreign elements", await page.evaluate(foreignElements), 0);
  });
  await claim("a spreadsheet takes no text of a payload for a formula", async () => {
    const response = await page.request.get(`${yard.address}/payloads.csv?limit=1000`);
    const cells = (await response.text()).split(/\r?\n/).flatMap((line) => line.split(","));
    const formulas = cells.filter((cell) => /^"?[=@+\t]/.test(cell));
    equal("cells that begin like a formula", formulas.slice(0, 3), []);
  });
}

/** Returns the pages of animals, batches and reads with such texts, by the lists of the office. */
async function hostilePaths(person) {
  const { page, address } = person;
  const get = async (path) => (await page.request.get(`${address}${path}`, { headers: { Accept: "application/json" } })).json();
  const reads = (await get("/payloads?limit=300")).data;
  const unique = (ids) => [...new Set(ids.filter((id) => id))];
  return [
    ...unique(reads.map((read) => read.animal)).map((id) => `/animals/${id}`),
    ...unique(reads.map((read) => read.batch)).map((id) => `/batches/by-id/${id}`),
    ...reads.filter((_, at) => at % 5 === 0).map((read) => `/payloads/${read.id}`),
  ];
}
