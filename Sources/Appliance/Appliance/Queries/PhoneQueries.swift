import BackupCore
package import ControlAPI

extension Box {
    /// The phones that are plugged in, then known ones that are away. Phones are opened to learn
    /// who they are; one that a run is at work with is told by its bay's state.
    package func phones(_ filter: QueryFilter) async throws -> [PhoneDocument] {
        let known = try store.phones()
        if let owner = filter.owner { _ = try owners(owner) }
        var documents: [PhoneDocument] = []
        for (family, phone) in await detect(events: { _ in }) {
            documents.append(try await document(phone, of: family, known: known))
        }
        let present = Set(documents.compactMap(\.id))
        for phone in known where !present.contains(phone.id) {
            documents.append(
                PhoneDocument(
                    id: phone.id, owner: phone.owner, family: phone.family, name: phone.name,
                    model: phone.model, osVersion: phone.osVersion, bay: nil, state: "away",
                    message: "Last seen \(RFC3339.text(phone.lastSeen))."))
        }
        if let phone = filter.phone, !documents.contains(where: { $0.id == phone }) {
            throw unknownPhone(phone)
        }
        return documents.filter { document in
            (filter.phone == nil || document.id == filter.phone)
                && (filter.owner == nil || document.owner == filter.owner)
        }
    }

    private func document(
        _ phone: DetectedPhone, of family: any DeviceFamily, known: [PhoneRecord]
    ) async throws -> PhoneDocument {
        var document = PhoneDocument(
            id: nil, owner: nil, family: family.family, name: nil, model: nil, osVersion: nil,
            bay: phone.bay, state: BayState.Word.ready.rawValue, message: "")
        if let reason = phone.unsuitable {
            document.state = BayState.Word.unsupported.rawValue
            document.message = reason + "."
            return document
        }
        do {
            let opened = try await open(phone, of: family, wait: .zero, events: { _ in })
            document.id = opened.id
            document.owner = known.first { $0.id == opened.id }?.owner
            document.name = opened.attributes.name
            document.model = opened.attributes.model
            document.osVersion = opened.attributes.osVersion
            (document.state, document.message) = await readiness(of: opened)
            await opened.close()
        } catch let error as ApplianceError where error.code == .busy {
            fill(&document, fromBay: phone.bay, known: known)
        } catch let error as DeviceError {
            document.state = Self.word(error).rawValue
            document.message = "\(error.whatHappened) \(error.whatToDo)"
        }
        return document
    }

    private func readiness(of phone: OpenedPhone) async -> (state: String, message: String) {
        for capture in phone.session.captures {
            guard case .pulled(let media)? = phone.session.source(of: capture) else { continue }
            do throws(DeviceError) {
                guard try await media.storages().isEmpty else { continue }
                let waiting = DeviceError(
                    .waitingForUser, "The phone is locked or only charging")
                return (
                    BayState.Word.waiting.rawValue,
                    "\(waiting.whatHappened) \(waiting.whatToDo)"
                )
            } catch {
                return (Self.word(error).rawValue, "\(error.whatHappened) \(error.whatToDo)")
            }
        }
        return (BayState.Word.ready.rawValue, "Ready to back up.")
    }

    private func fill(
        _ document: inout PhoneDocument, fromBay bay: BayID, known: [PhoneRecord]
    ) {
        let state = store.bayState(bay)
        let id = state?["phone"]?.text.flatMap(PhoneID.init(rawValue:))
        let record = known.first { $0.id == id }
        document.id = id
        document.owner = record?.owner
        document.name = record?.name
        document.model = record?.model
        document.osVersion = record?.osVersion
        document.state = state?["state"]?.text ?? BayState.Word.running.rawValue
        document.message = state?["message"]?.text ?? "A run is at work with this phone."
    }

    private static func word(_ error: DeviceError) -> BayState.Word {
        switch error.code {
        case .waitingForUser: .waiting
        case .busy: .busy
        case .refused: .refused
        case .unsuitable: .unsupported
        case .gone: .lost
        case .timedOut: .stalled
        default: .failed
        }
    }
}
