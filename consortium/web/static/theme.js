/* Before the first paint: the theme that this person chose, if any. */
try {
  const theme = localStorage.getItem('theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch (refused) { /* storage is shut: the system's own setting stands */ }
