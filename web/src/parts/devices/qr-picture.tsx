import './qr-picture.css'
import { useEffect, useState } from 'preact/hooks'

/** A quiet zone of four modules, as the standard wants it (ISO/IEC 18004). */
const BORDER = 4

/** A QR code, black on white in dark mode too: many cameras read no other. */
export function QrPicture({ text, label }: { text: string; label: string }) {
  const [modules, setModules] = useState<boolean[][]>([])
  useEffect(() => {
    void import('qr').then(({ encodeQR }) => setModules(encodeQR(text, 'raw', { border: BORDER, ecc: 'medium' })))
  }, [text])
  const path = modules.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join('')
  const size = modules.length
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} shape-rendering="crispEdges" role="img" aria-label={label}>
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  )
}
