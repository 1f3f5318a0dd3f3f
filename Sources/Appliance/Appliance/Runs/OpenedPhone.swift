import BackupCore
import ControlAPI
import Drives
import Logging

/// A phone with an open session, in a bay that no other run of this box uses meanwhile.
struct OpenedPhone: Sendable {
    let family: any DeviceFamily
    let detected: DetectedPhone
    let session: any DeviceSession
    let attributes: PhoneAttributes
    let id: PhoneID
    private let bayLock: BoxLock

    init(
        family: any DeviceFamily, detected: DetectedPhone, session: any DeviceSession,
        attributes: PhoneAttributes, id: PhoneID, bayLock: BoxLock
    ) {
        self.family = family
        self.detected = detected
        self.session = session
        self.attributes = attributes
        self.id = id
        self.bayLock = bayLock
    }

    /// Ends the session (a second time is fine) and gives the bay back.
    func close() async {
        await session.close()
        bayLock.release()
    }

    /// Holds that the phone lets this box read it, for a family whose owner has to say so; closes
    /// the session when not. Before that a phone gets no owner here and no run.
    func requireTrust() async throws(DeviceError) {
        guard family.family == .iphone else { return }
        for capture in session.captures {
            guard case .pulled(let media)? = session.source(of: capture) else { continue }
            do throws(DeviceError) {
                _ = try await media.storages()
            } catch {
                await close()
                throw error
            }
        }
    }

    /// Gives the bay back when a run has closed the session itself.
    func leaveBay() { bayLock.release() }
}

extension Box {
    /// All phones that are plugged in, of every family. A family that fails is told and left out.
    func detect(
        events: RunEventSink
    ) async -> [(family: any DeviceFamily, phone: DetectedPhone)] {
        var found: [(family: any DeviceFamily, phone: DetectedPhone)] = []
        for family in families {
            do throws(DeviceError) {
                found += try await family.detect().map { (family, $0) }
            } catch {
                guard error.code != .cancelled else { continue }
                log.warning("detection failed", metadata: ["code": "\(error.code.rawValue)"])
                events(.notice(RunNotice(code: "detection_failed", message: error.explanation)))
            }
        }
        return found
    }

    /// Waits until phones may have come or gone, at most `limit` and for half a second at least: a
    /// phone that comes and goes all the time must not keep the box busy.
    func waitForChange(atMost limit: Duration) async {
        let pause = min(limit, .milliseconds(500))
        await clock.sleep(pause)
        let limit = limit - pause
        guard limit > .zero else { return }
        guard !families.isEmpty else { return await clock.sleep(limit) }
        await withTaskGroup(of: Void.self) { group in
            for family in families {
                group.addTask { await family.waitForChange(atMost: limit) }
            }
            _ = await group.next()
            group.cancelAll()
        }
    }

    /// The set's id, which phone ids depend on.
    func requiredDriveSet() throws(ApplianceError) -> DriveSetID {
        if let set = try store.driveSet() { return set }
        throw ApplianceError(
            .configuration, "This box does not know its set of drives.",
            whatToDo: "Run holdfast setup with the drives.")
    }

    /// The id of a phone that tells its identity without being asked; nil for any other.
    func id(of phone: DetectedPhone) -> PhoneID? {
        // Without a set there are no ids, which the first run that needs one tells.
        guard case .usbmux(_, let udid) = phone.address, let set = try? requiredDriveSet() else {
            return nil
        }
        return PhoneIdentity.phoneID(family: phone.family, identity: udid, set: set)
    }

    /// Opens a session with a detected phone. Another run of this box in the same bay is waited
    /// for up to `wait`, then `busy`.
    func open(
        _ phone: DetectedPhone, of family: any DeviceFamily, wait: Duration,
        events: RunEventSink
    ) async throws -> OpenedPhone {
        let bayLock = try await BoxLock.acquire(
            "bay-\(phone.bay)", in: lockFolder, what: "the phone in bay \(phone.bay)",
            wait: wait, clock: clock
        ) {
            events(
                .notice(
                    RunNotice(
                        code: "waiting_for_run",
                        message: "Another run is at work with this phone; waiting for it.")))
        }
        do {
            let session = try await family.open(phone)
            do {
                let attributes = try await session.attributes()
                let id = PhoneIdentity.phoneID(
                    family: family.family, identity: attributes.identity,
                    set: try requiredDriveSet())
                return OpenedPhone(
                    family: family, detected: phone, session: session, attributes: attributes,
                    id: id, bayLock: bayLock)
            } catch {
                await session.close()
                throw error
            }
        } catch {
            bayLock.release()
            throw error
        }
    }

    /// Tries once to open the same phone again, wherever it is plugged in now.
    func reconnect(
        _ lost: OpenedPhone
    ) async throws(DeviceError) -> any DeviceSession {
        let found = try await lost.family.detect()
        // The same bay first: that is where a phone that reset itself comes back.
        let likely = found.sorted { left, _ in left.bay == lost.detected.bay }
        var failure = DeviceError(.gone, "The phone is not plugged in")
        for phone in likely where phone.unsuitable == nil {
            do throws(DeviceError) {
                let session = try await lost.family.open(phone)
                do throws(DeviceError) {
                    let identity = try await session.attributes().identity
                    if identity == lost.attributes.identity { return session }
                } catch {
                    failure = error
                }
                await session.close()
            } catch {
                failure = error
            }
        }
        throw failure
    }
}
