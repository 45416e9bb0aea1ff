// Spark is a small chart of the last samples, with the newest as a figure.
interface Props {
  label: string
  values: number[]
  format: (n: number) => string
  max?: number
}

const width = 160
const height = 36
export const samples = 60

export function Spark({ label, values, format, max }: Props) {
  const top = Math.max(max ?? 0, ...values, 1e-9)
  const step = width / (samples - 1)
  const start = width - (values.length - 1) * step
  const points = values.map((v, i) => `${(start + i * step).toFixed(1)},${(height - 2 - (v / top) * (height - 4)).toFixed(1)}`)
  const newest = values.at(-1)
  return (
    <figure class="spark">
      <figcaption>
        <span class="muted">{label}</span> <strong>{newest === undefined ? "unknown" : format(newest)}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img"
        aria-label={values.length > 1 ? `${label}: from ${format(Math.min(...values))} to ${format(Math.max(...values))} in the last samples` : `${label}: one sample so far`}>
        <line x1="0" y1={height - 1} x2={width} y2={height - 1} class="spark-base" />
        {points.length > 1 && (
          <>
            <polygon points={`${start.toFixed(1)},${height} ${points.join(" ")} ${width},${height}`} class="spark-fill" />
            <polyline points={points.join(" ")} class="spark-line" />
          </>
        )}
      </svg>
    </figure>
  )
}
