// Spark is a small chart of what was lately, with what is now as a figure.
export type Point = [number, number] // Unix seconds, value

interface Props {
  label: string
  points: Point[] // the oldest first
  from: number // what the chart is wide, Unix seconds
  to: number
  now?: number
  format: (n: number) => string
  max?: number // the top, where values do not go beyond it
}

const width = 160
const height = 36
const gap = 90 // seconds without a point that the line does not cross

export function Spark({ label, points, from, to, now, format, max }: Props) {
  const values = points.map((p) => p[1])
  const top = Math.max(max ?? 0, ...values, 1e-9)
  const x = (t: number) => (((t - from) / Math.max(to - from, 1)) * width).toFixed(1)
  const y = (v: number) => (height - 2 - (v / top) * (height - 4)).toFixed(1)
  const runs: Point[][] = []
  for (const p of points) {
    const run = runs.at(-1)
    if (run && p[0] - run.at(-1)![0] <= gap) run.push(p)
    else runs.push([p])
  }
  return (
    <figure class="spark">
      <figcaption>
        <span class="muted">{label}</span> <strong>{now === undefined ? "unknown" : format(now)}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img"
        aria-label={points.length > 1 ? `${label}: from ${format(Math.min(...values))} to ${format(Math.max(...values))} lately` : `${label}: nothing kept yet`}>
        <line x1="0" y1={height - 1} x2={width} y2={height - 1} class="spark-base" />
        {runs.map((run) => {
          const line = run.map((p) => `${x(p[0])},${y(p[1])}`).join(" ")
          return (
            <g key={run[0][0]}>
              <polygon points={`${x(run[0][0])},${height} ${line} ${x(run.at(-1)![0])},${height}`} class="spark-fill" />
              <polyline points={line} class="spark-line" />
            </g>
          )
        })}
      </svg>
    </figure>
  )
}
