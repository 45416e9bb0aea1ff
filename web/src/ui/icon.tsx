const paths = {
  overview: "M4 19V11M10 19V5M16 19v-6M21 19H3",
  log: "M4 6h16M4 12h16M4 18h10",
  live: "M3 12h4l3-8 4 16 3-8h4",
  rules: "M12 3l8 3v6c0 4.5-3.2 7.7-8 9-4.800-1.300-8-4.500-8-9V6z",
  matrix: "M4 4h16v16H4zM4 10h16M4 15h16M10 4v16M15 4v16",
  groups: "M8 11a3 3 0 100-6 3 3 0 000 6zM16 13a2.500 2.500 0 100-5 2.500 2.500 0 000 5zM3 19c.5-3 2.500-4.500 5-4.500s4.500 1.500 5 4.500M15 16c3 0 5 1 5.500 3",
  zones: "M12 3l9 5-9 5-9-5zM3 13l9 5 9-5",
  nat: "M4 8h13l-3-3M20 16H7l3 3",
  simulate: "M5 4l14 8-14 8z",
  alert: "M12 4l9 16H3zM12 10v4M12 17v.5",
  device: "M3 8h18v8H3zM7 12h.01M11 12h.01M17 12h2",
  inspect: "M10.500 4a6.500 6.500 0 100 13 6.500 6.500 0 000-13zM15.500 15.500L21 21",
  categories: "M4 7l2 2 3-3M4 16l2 2 3-3M13 8h8M13 17h8",
  mute: "M4 10v4h4l5 4V6l-5 4zM17 10l4 4M21 10l-4 4",
  gauge: "M4 18a9 9 0 1116 0M12 18l4-6",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  grip: "M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01",
  copy: "M9 9h11v11H9zM5 15V4h11",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M5 19l1.500-1.500M17.500 6.500L19 5",
  moon: "M20 14A8.500 8.500 0 019.500 4a8.500 8.500 0 1010.500 10z",
  filter: "M4 5h16l-6 8v6l-4-2v-4z",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  right: "M9 5l7 7-7 7",
  check: "M5 13l4 4L19 7",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  edit: "M4 20l1-4L16 5l3 3L8 19z",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  clock: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 7v5l3 2",
  out: "M10 5H5v14h5M14 8l4 4-4 4M8 12h10",
} as const

export type IconName = keyof typeof paths

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  )
}
