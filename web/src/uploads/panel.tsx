import { useEffect } from 'preact/hooks'
import { calm } from '../state/calm.ts'
import { Loaded, loadUploads } from './add.ts'
import { DropArea } from './drop-area.tsx'

/** Takes what is dropped or pasted anywhere on the page. The progress of uploads is loaded once the page has shown pictures. */
export function UploadPanel() {
  useEffect(() => {
    // Without a connection it is loaded with the first file.
    calm.then(loadUploads).catch(() => {})
  }, [])
  return (
    <>
      <DropArea />
      {Loaded.value && <Loaded.value />}
    </>
  )
}
