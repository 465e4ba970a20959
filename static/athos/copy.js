// Buttons that copy what they name. Without a script, or without the right to copy, they stay hidden.
function offer(within) {
  for (const button of within.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
}

async function copy(button) {
  const label = button.textContent;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = label; }, 1500);
}

if (navigator.clipboard) {
  offer(document);
  document.addEventListener("htmx:load", (event) => offer(event.target));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button).catch(() => { button.textContent = "Select it and press Ctrl+C"; });
  });
}
