// The forms of corrections on the pages, as a person uses them.

import { ensure } from "./claims.mjs";
import { until } from "./wait.mjs";

/** Unfolds a form by its label, and returns it. */
export async function unfold(person, label) {
  const details = person.page.locator("details", { has: person.page.locator("summary", { hasText: label }) });
  await person.click(details.locator("summary"));
  return details.last();
}

/** Fills the reason and sends the form. */
export async function send(person, form, label, reason) {
  await person.fill(form.getByLabel("Reason"), reason);
  await person.follow(form.getByRole("button", { name: label }));
}

/** Waits until the page says that the correction is applied, loading it again while it is pending. */
export async function waitUntilApplied(person) {
  const { page } = person;
  await until("the correction is applied", async () => {
    const text = await page.getByRole("status").filter({ hasText: /Applied|Pending/ }).first().innerText();
    if (text.startsWith("Pending")) await page.reload();
    return text.startsWith("Applied");
  });
}

/** Returns the text of the page's alert. */
export async function alarm(person) {
  return (await person.find(person.page.locator("main [role=alert]"))).innerText();
}

/** Opens the page of an animal by its whole tag. */
export async function openAnimal(person, animal) {
  await person.startAt(`/search?q=${animal.lf}`);
  ensure(/\/animals\/\d+$/.test(new URL(person.page.url()).pathname), `${animal.lf} leads to ${person.page.url()}`);
}
