// What every page does: say so when a fragment could not be loaded, and keep one menu open.
const FAILURES = {
  "htmx:responseError": "That did not work. Load the page again, or try once more in a moment.",
  "htmx:sendError": "We could not reach the server. Are you online?",
  "htmx:timeout": "The server did not answer in time. Try again in a moment.",
};

// What was done stays in sight where one is sent further down the page, until it is put away.
const said = document.querySelector("#messages");
for (const message of said.children) dismissible(message);

function dismissible(message) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet small";
  button.textContent = "Close";
  button.addEventListener("click", () => message.remove());
  message.append(button);
}

function tell(words) {
  const message = document.createElement("p");
  message.className = "message";
  message.dataset.level = "error";
  message.textContent = words;
  dismissible(message);
  document.querySelector("#messages").replaceChildren(message);
}

for (const [name, words] of Object.entries(FAILURES)) {
  document.addEventListener(name, () => tell(words));
}

// On a phone the pages of a section are wider than the window: the one that is open comes into view.
const below = document.querySelector("nav.below");
const open = below?.querySelector("[aria-current]");
if (open) below.scrollLeft = open.offsetLeft - (below.clientWidth - open.offsetWidth) / 2;

document.querySelector('main [aria-invalid="true"]')?.focus(); // what is to be mended in a form that was refused

// A menu closes when one goes elsewhere, or by Escape.
const menus = "details.menu[open]";
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(menus)) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll(menus)) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
