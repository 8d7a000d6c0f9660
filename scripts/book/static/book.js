// From a file, a page may not read the others: the search then lists titles without the lines that fit.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What is too wide for the page and scrolls can be reached with the keyboard; what fits is no stop on its way.
document.addEventListener("DOMContentLoaded", () => {
  const fits = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  document.querySelectorAll("article pre, article .table-wrapper, article div.math").forEach((wide) => fits.observe(wide));
});

// A picture opens in its full size when it is touched or clicked: a phone shows a wide one small.
document.addEventListener("click", ({ target }) => {
  if (target.matches("article img")) location.href = target.src;
});
