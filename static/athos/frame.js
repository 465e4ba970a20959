// What every page does: say so when a fragment could not be loaded, and keep one menu open.
const FAILURES = {
  "htmx:responseError": "That did not work. Load the page again, or try once more in a moment.",
  "htmx:sendError": "We could not reach the server. Are you online?",
  "htmx:timeout": "The server did not answer in time. Try again in a moment.",
};

function tell(words) {
  const message = document.createElement("p");
  message.className = "message";
  message.dataset.level = "error";
  message.textContent = words;
  document.querySelector("#messages").replaceChildren(message);
}

for (const [name, words] of Object.entries(FAILURES)) {
  document.addEventListener(name, () => tell(words));
}

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
