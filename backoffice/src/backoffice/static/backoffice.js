// What the pages do beyond HTML; each of them works without it.

// The counts beside the bar follow it; at its end the page shows the outcome.
const counts = document.querySelectorAll("[data-count]");
if (document.querySelector("job-progress")) {
  const number = new Intl.NumberFormat(`${document.documentElement.lang}-u-nu-latn`);
  document.addEventListener("job:update", async () => {
    const answer = await fetch(location.pathname, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const now = await answer.json();
    for (const count of counts) {
      const value = document.createElement("bdi");
      value.textContent = number.format(now[count.dataset.count]);
      count.replaceChildren(value);
    }
  });
  for (const end of ["job:done", "job:failed", "job:cancelled"]) {
    document.addEventListener(end, () => setTimeout(() => location.reload(), 600));
  }
}

// A file that is too large is told before it travels; a form is sent once.
const upload = document.querySelector("[data-upload]");
if (upload) {
  const file = upload.querySelector("input[type=file]");
  const drop = upload.querySelector(".drop");
  const tooLarge = upload.querySelector("[data-too-large]");
  const isTooLarge = () => (file.files[0]?.size ?? 0) > upload.dataset.limit * 1024 * 1024;
  // The browser's own button speaks the browser's language, not the page's.
  const chosen = upload.querySelector("[data-chosen]");
  upload.classList.add("dressed");
  const over = (is) => (event) => {
    event.preventDefault();
    drop.classList.toggle("over", is);
  };
  file.addEventListener("change", () => {
    tooLarge.hidden = !isTooLarge();
    chosen.hidden = !file.files.length;
    const name = document.createElement("bdi");
    name.textContent = file.files[0]?.name ?? "";
    chosen.replaceChildren(name);
  });
  drop.addEventListener("dragover", over(true));
  drop.addEventListener("dragleave", over(false));
  drop.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length !== 1) return;
    file.files = event.dataTransfer.files;
    file.dispatchEvent(new Event("change"));
  });
  let sent = false;
  upload.addEventListener("submit", (event) => {
    if (isTooLarge() || sent) return event.preventDefault();
    sent = true;
    upload.querySelector("button").setAttribute("aria-disabled", "true");
  });
  // Back in the history brings the page back as it was left: it may be sent again.
  addEventListener("pageshow", () => {
    sent = false;
    upload.querySelector("button").removeAttribute("aria-disabled");
  });
}
