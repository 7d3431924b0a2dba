// What the browser adds to every page: times in the reader's zone, one submission for one click,
// texts that survive an ended session, and the theme button. All pages work without it.
const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    if (time.title) continue;
    time.title = time.textContent;
    time.textContent = inZone.format(new Date(time.dateTime));
  }
}

// A field named `dataset` hides form.dataset: attributes are asked by name.
// Forms marked data-keep are remembered in this tab until they arrive; passwords and keys never are.
const place = (form) => `form:${form.getAttribute("action") || location.pathname}`;
const kept = (form) =>
  [...form.elements].filter(
    (field) => field.name && field.name !== "form_token" && !["password", "hidden", "file", "submit", "button"].includes(field.type),
  );

function remember(form) {
  const values = kept(form).map((field) => [field.name, field.value, field.checked]);
  sessionStorage.setItem(place(form), JSON.stringify(values));
}

function restore(form) {
  const held = sessionStorage.getItem(place(form));
  if (!held || form.getAttribute("data-keep") === "server") return;
  const values = JSON.parse(held);
  for (const field of kept(form)) {
    const choice = field.type === "checkbox" || field.type === "radio";
    const found = values.find(([name, value]) => name === field.name && (!choice || value === field.value));
    if (!found) continue;
    if (choice) field.checked = found[2];
    else field.value = found[1];
  }
  form.dispatchEvent(new Event("change", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form && form.hasAttribute("data-keep")) remember(form);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.hasAttribute("data-sent") && !form.hasAttribute("hx-get")) {
    event.preventDefault();
    return;
  }
  const ask = event.submitter?.dataset.ask;
  if (ask && !confirm(ask)) {
    event.preventDefault();
    return;
  }
  if (form.method !== "post" || event.defaultPrevented) return;
  form.setAttribute("data-sent", "yes");
  setTimeout(() => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
});

// A page that comes back with the back button may be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    form.removeAttribute("data-sent");
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
});

document.querySelector("[data-theme-button]")?.addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
  });
}

localTimes(document);
document.querySelectorAll("form[data-keep]").forEach(restore);
document.querySelectorAll("[data-arrived]").forEach((mark) => sessionStorage.removeItem(`form:${mark.dataset.arrived}`));
document.addEventListener("htmx:after:swap", () => localTimes(document));
document.querySelector("[data-focus]")?.focus();
