package import BackupCore
import BackupEngine
import Drives
import Logging
import ResticFormat
import ResticRepository

/// What typing in a printed sheet showed.
package struct SheetProof: Sendable {
    /// What the words did on one drive.
    package struct OnDrive: Sendable {
        /// How it went.
        package enum State: String, Sendable {
            /// The words opened the repository and its newest snapshot could be read.
            case opened
            /// The words opened the repository, which has no snapshot yet.
            case empty
            /// The words are not those of this drive's key files.
            case refused
            /// The drive is away, or something on it cannot be read.
            case failed
        }

        package let drive: DriveID
        package let state: State
        /// The newest snapshot, where there is one.
        package let newest: ContentID?
        /// What went wrong, for people; empty when nothing did.
        package let problem: String
    }

    package let owner: OwnerID
    package let drives: [OnDrive]

    /// Whether at least one drive opened with the words alone.
    package var isProved: Bool { drives.contains { $0.state == .opened || $0.state == .empty } }

    /// ``ExitCode/notEveryDrive`` when a drive did not open.
    package var exitCode: ExitCode {
        drives.allSatisfy { $0.state == .opened || $0.state == .empty } ? .done : .notEveryDrive
    }

    /// Keys `owner, proved, exit_code, drives: [{drive, state, newest_snapshot, problem}]`.
    package var json: JSONValue {
        .members([
            "owner": .string(owner.rawValue), "proved": .bool(isProved),
            "exit_code": .integer(Int64(exitCode.rawValue)),
            "drives": .array(
                drives.map {
                    .members([
                        "drive": .string($0.drive.rawValue), "state": .string($0.state.rawValue),
                        "newest_snapshot": .optional($0.newest?.hex),
                        "problem": .string($0.problem),
                    ])
                }),
        ])
    }
}

extension Box {
    /// Proves a printed sheet: opens the owner's repository on every drive that is there with the
    /// words typed in alone, not with what the box knows, and reads the newest snapshot. Nothing
    /// on the drives is changed; that it was proved is remembered here.
    ///
    /// `key` when the words that `source` gives open no drive, `noDrive` and the like when there
    /// is none, `notFound` when none has backups of the owner yet.
    package func prove(
        _ owner: OwnerID, words source: any WordSource
    ) async throws -> SheetProof {
        guard var record = try owners(owner).first else { throw Self.erased(owner) }
        let roster = try await roster()
        _ = try roster.required()
        var problem: String?
        while let typed = await source.words(for: owner, problem: problem) {
            let words: SheetWords
            do throws(SheetWords.Problem) {
                words = try SheetWords(reading: typed)
            } catch {
                problem = try differing(typed, owner) ?? error.sentence
                continue
            }
            let proof = await prove(owner, words, on: roster)
            if proof.isProved {
                record.sheetProved = clock.now()
                record.sheetShown = record.sheetShown ?? record.sheetProved
                try store.remember(record)
                log.notice("sheet proved", metadata: ["owner": "\(owner)"])
                return proof
            }
            guard proof.drives.contains(where: { $0.state == .refused }) else {
                throw Self.nothingOpened(proof, roster)
            }
            problem = try differing(typed, owner) ?? "These words do not open the backups."
        }
        throw ApplianceError(
            .key, problem ?? "No words were given.",
            whatToDo: "Look at the sheet again. If it is an old one, print a new one: holdfast key "
                + "sheet --owner \(owner).")
    }

    private func prove(
        _ owner: OwnerID, _ words: SheetWords, on roster: DriveRoster
    ) async -> SheetProof {
        var drives: [SheetProof.OnDrive] = []
        for slot in roster.slots {
            drives.append(await prove(owner, words, on: slot))
        }
        return SheetProof(owner: owner, drives: drives)
    }

    private func prove(
        _ owner: OwnerID, _ words: SheetWords, on slot: DriveRoster.Slot
    ) async -> SheetProof.OnDrive {
        func result(
            _ state: SheetProof.OnDrive.State, _ newest: ContentID? = nil, _ problem: String = ""
        ) -> SheetProof.OnDrive {
            SheetProof.OnDrive(
                drive: slot.entry.id, state: state, newest: newest, problem: problem)
        }
        guard let drive = slot.drive else {
            return result(.failed, nil, slot.problem?.whatHappened ?? "")
        }
        do {
            let retired = try store.retiredKeys(of: owner).retired
            guard
                let newest = try await newestSnapshot(
                    drive.repository(owner), words, except: retired)
            else { return result(.empty) }
            return result(.opened, newest)
        } catch let error as RepositoryError where error.code == .wrongPassword {
            return result(.refused, nil, "The words do not open the backups on this drive.")
        } catch {
            return result(.failed, nil, Outcome(error).explanation)
        }
    }

    /// The newest snapshot of a copy that the words open, once its top folder and the phone's
    /// description in it were read; nil when there is none.
    private func newestSnapshot(
        _ copy: DriveBackend, _ words: SheetWords, except retired: Set<ContentID>
    ) async throws -> ContentID? {
        let key = try await ResticSnapshotRepository.unlock(
            backend: copy, password: words.canonical, except: retired)
        let repository = try await ResticSnapshotRepository.open(
            backend: copy, masterKey: key, options: RepositoryOptions(.reading, clock: clock))
        guard let newest = try await repository.snapshots().last else { return nil }
        _ = try await SnapshotNotes.of(tree: newest.tree, in: repository)
        return newest.id
    }

    /// Which of the typed words are not those of the box's own sheet, for a person who looks for
    /// the mistake; nil when the box has none to compare with or all are right.
    private func differing(_ typed: String, _ owner: OwnerID) throws(ApplianceError) -> String? {
        guard let own = try store.secrets(of: owner).words?.words,
            let typed = SheetWords.groups(of: typed)
        else { return nil }
        let wrong = zip(own, typed).enumerated().filter { $0.element.0 != $0.element.1 }
            .map { "\($0.offset + 1)" }
        switch wrong.count {
        case 0: return nil
        case 1: return "Word \(wrong[0]) is not the one on the sheet."
        case 2...4: return "Words \(wrong.joined(separator: ", ")) are not those on the sheet."
        default: return "These are not the words of the present sheet of \(owner)."
        }
    }

    /// The error when no drive could be tried.
    private static func nothingOpened(_ proof: SheetProof, _ roster: DriveRoster) -> any Error {
        let problem = proof.drives.first { $0.state == .failed && !$0.problem.isEmpty }?.problem
        return ApplianceError(
            .notFound,
            "No drive could be opened with any words. " + (problem ?? ""),
            whatToDo: "Run a backup first, or connect a drive that has one.")
    }
}
