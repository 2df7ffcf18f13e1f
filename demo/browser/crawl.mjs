// Finds the pages of the office: by the links from the first page on, a few of each kind.

/** Maximum number of pages of one kind, without a query and with one: there are as many filters as a list has columns. */
const EACH_PLAIN = 2;
const EACH_WITH_QUERY = 1;
/** Maximum number of pages. A walk that reaches it has missed some, which is an error. */
const MAX_PAGES = 120;

/**
 * @typedef {{ path: string, kind: string, status: number }} Found
 *
 * @param {import("./person.mjs").Person} person with a session
 * @param {string[]} [more] further addresses to begin with
 * @returns {Promise<Found[]>}
 */
export async function crawl(person, more = []) {
  const { page, address } = person;
  const [queue, kinds, found] = [["/", ...more], new Map(), []];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const kind = kindOf(path);
    const each = path.includes("?") ? EACH_WITH_QUERY : EACH_PLAIN;
    if ((kinds.get(kind) ?? 0) >= each || found.some((page) => page.path === path)) continue;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (found.length === MAX_PAGES) throw new Error(`more than ${MAX_PAGES} pages: ${[...kinds.keys()].join(" ")}`);
    const response = await page.goto(`${address}${path}`);
    found.push({ path, kind, status: response.status() });
    const links = await page.locator("a[href]:not([download])").evaluateAll((all) => all.map((link) => link.href));
    for (const link of links.map((href) => new URL(href)).filter((url) => url.origin === address)) {
      if (!isFile(link.pathname)) queue.push(link.pathname + link.search);
    }
  }
  return found;
}

function isFile(path) {
  return /\.(csv|txt|json|pem|css|js)$/.test(path);
}

/** Returns the kind of a page: its path without what names a record, and the names of its query. */
function kindOf(path) {
  const url = new URL(path, "https://office");
  const parts = url.pathname.split("/").map((part) => (/\d|%/.test(part) ? "*" : part));
  return [parts.join("/"), ...[...url.searchParams.keys()].sort()].join(" ");
}

/** Returns a name for a file: `animals-812`. */
export function fileName(path) {
  return path.replace(/^\/(?=$|\?)/, "today").replace(/^\//, "").replaceAll(/[^\w.-]+/g, "-").slice(0, 60);
}
