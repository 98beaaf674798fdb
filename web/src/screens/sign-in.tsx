import '../parts/sign-in/sign-in.css'
import { isVaultError, type Registered, type SentPin, type ShownPin } from '@minikeepsafe/client'
import { useState } from 'preact/hooks'
import { Entrance } from '../parts/sign-in/entrance.tsx'
import { PinForm, type Sent } from '../parts/sign-in/pin-form.tsx'
import { WaysBack } from '../parts/sign-in/ways-back.tsx'
import { type Person, WhoForm } from '../parts/sign-in/who-form.tsx'
import { door } from '../state/entering.ts'
import { deviceId } from '../state/session.ts'
import { t } from '../words/words.ts'

type Step = { name: 'who' } | { name: 'ways-back'; isTaken: boolean } | { name: 'pin'; sent: Sent }

/** Name and address, then the PIN. */
export function SignIn() {
  const words = t.value.signIn
  const [person, setPerson] = useState<Person>({ name: '', email: '' })
  const [step, setStep] = useState<Step>({ name: 'who' })
  const toStart = () => setStep({ name: 'who' })

  const request = async () => {
    const isNew = person.name !== null
    try {
      setStep({ name: 'pin', sent: sentOf(await requestPin(person)) })
    } catch (error) {
      // A server that sends nothing gives a PIN to new people only.
      if (isVaultError(error, isNew ? 'email-taken' : 'unauthorized')) setStep({ name: 'ways-back', isTaken: isNew })
      else throw error
    }
  }

  if (step.name === 'who') {
    return (
      <Entrance title={words.title} intro={words.intro}>
        <WhoForm person={person} onChange={setPerson} onSend={request} />
      </Entrance>
    )
  }
  if (step.name === 'ways-back') {
    return (
      <Entrance title={words.waysTitle}>
        <WaysBack
          reason={step.isTaken ? words.waysTaken(person.email) : words.waysUnsent}
          onPin={() => setStep({ name: 'pin', sent: { how: 'operator' } })}
          onBack={toStart}
        />
      </Entrance>
    )
  }
  return (
    <Entrance title={words.pinTitle}>
      <PinForm
        sent={step.sent}
        email={person.email}
        onAgain={step.sent.how === 'operator' ? null : request}
        onBack={toStart}
      />
    </Entrance>
  )
}

function requestPin({ name, email }: Person): Promise<Registered | ShownPin | SentPin> {
  const device = { deviceId: deviceId(), email: email.trim() }
  return name === null ? door.requestPin(device) : door.register({ ...device, name })
}

function sentOf(answer: Registered | ShownPin | SentPin): Sent {
  const expiresAt = answer.pinExpiresAt
  return 'pin' in answer ? { how: 'shown', pin: answer.pin, expiresAt } : { how: answer.pinDelivery, expiresAt }
}
