import BackupCore
import ControlAPI
import Drives
import ResticFormat
import ResticRepository

/// What a check or a repair of several owners found, on its way to a summary.
struct AuditResult {
    /// One damaged or missing file, or one drive's structural finding, for people and programs.
    struct Line: Hashable {
        let drive: DriveID
        let file: FileName?
        /// `missing`, `wrong_size`, `wrong_hash`, `unreadable`, `damaged` or `lost_blob`.
        let problem: String
        var hasGoodCopy: Bool
        /// The phone's entries that are concerned, escaped.
        var paths: [String] = []
    }

    private(set) var lines: [Line] = []
    private(set) var repaired: [CopyFinding] = []
    private(set) var behind: [DriveID: BackendError] = [:]
    private(set) var files = 0
    private(set) var bytesRead: UInt64 = 0
    private var failures: [Outcome] = []
    /// What was told about owners and drives, in order.
    private(set) var told: [String] = []
    var outcomes: Set<ExitCode> = []
    /// Blobs that each drive cannot give, with what needs them.
    private var lostBlobs: [DriveID: [LostBlob]] = [:]
    /// Drives whose own files were looked at to the end.
    private var structured: Set<DriveID> = []
    /// Those of which every pack was read for it.
    private var proven: Set<DriveID> = []
    /// Blobs that a snapshot needs and no drive can give.
    private(set) var lostKeys: Set<BlobKey> = []
    /// Snapshots that need what is lost, oldest first.
    var concerned: [Snapshot] = []

    /// Damaged files of one drive that are still damaged.
    func damaged(on drive: DriveID) -> Int { lines.count { $0.drive == drive } }

    /// Files and blobs with no good copy.
    var lostCount: Int { lines.count { !$0.hasGoodCopy } }

    mutating func add(_ other: AuditResult) {
        lines += other.lines
        repaired += other.repaired
        behind.merge(other.behind) { first, _ in first }
        files += other.files
        bytesRead += other.bytesRead
        failures += other.failures
        told += other.told
        outcomes.formUnion(other.outcomes)
        lostKeys.formUnion(other.lostKeys)
        concerned += other.concerned
    }

    mutating func add(failure: Outcome, owner: OwnerID?) {
        failures.append(failure)
        outcomes.insert(failure.exitCode)
        told.append((owner.map { "Owner \($0): " } ?? "") + failure.explanation)
    }

    mutating func add(missing entry: Configuration.DriveEntry, _ problem: BackendError) {
        // Also a wrong drive in its place: with another drive left it is as good as absent.
        outcomes.insert(.notEveryDrive)
        told.append(
            "Drive \(HostileText.escaped(entry.name)) was not looked at: \(problem.detail). "
                + problem.whatToDo)
    }

    mutating func add(behind drives: [DriveID: BackendError]) {
        for (drive, error) in drives.sorted(by: { $0.key < $1.key }) where behind[drive] == nil {
            behind[drive] = error
            guard error.code != .wrongDrive else { continue }
            outcomes.insert(.notEveryDrive)
            told.append("\(error.whatHappened) \(error.whatToDo)")
        }
    }

    mutating func add(_ audit: CopyAuditReport, narrowedTo drive: DriveID?) {
        files += audit.fileCount
        bytesRead += audit.byteCount
        for finding in audit.findings where drive == nil || finding.drive == drive {
            lines.append(Self.line(finding))
        }
        add(behind: audit.behind)
    }

    /// Adds counts of what was read.
    mutating func add(read counts: (files: Int, bytes: UInt64)) {
        files += counts.files
        bytesRead += counts.bytes
    }

    /// Adds findings whose good copies were looked for; they decide the outcome.
    mutating func add(_ findings: [CopyFinding]) {
        lines += findings.map(Self.line)
        judge()
    }

    mutating func add(_ report: HealReport) {
        files += report.audit.fileCount
        bytesRead += report.audit.byteCount
        repaired += report.repaired
        lines += report.lost.map(Self.line)
        add(behind: report.behind)
        if report.wasCancelled { outcomes.insert(.interrupted) }
    }

    /// Adds what was saved of files that no drive has good. They are no finding any more: what is
    /// lost with them is told by the snapshots that need it. A lost snapshot itself stays one.
    mutating func add(_ salvage: SalvageReport) {
        let aside = Set(salvage.damaged).subtracting(salvage.lostSnapshots)
        lines.removeAll { $0.file.map(aside.contains) ?? false }
        if !salvage.rebuiltPacks.isEmpty {
            told.append(
                "Rebuilt \(Counted.files(salvage.rebuiltPacks.count)) from the good parts of "
                    + "damaged ones.")
        }
        if !salvage.damaged.isEmpty {
            told.append(
                "Moved \(Counted.files(salvage.damaged.count)) that no drive has good to "
                    + "quarantine.")
        }
    }

    /// Adds what was repaired from the box before the drives were compared.
    mutating func add(given: [CopyFinding]) { repaired += given }

    /// Adds the config and keys that a drive lacks and the box has. Drives that all lack a file
    /// look alike to each other.
    mutating func addKeys(of hold: OwnerHold, narrowedTo drive: DriveID?) async {
        var isAnyKeyThere = hold.seed != nil
        for copy in hold.copies where behind[copy.drive.id] == nil {
            // An owner without a repository there was told by the comparison of the drives.
            guard (try? await copy.isInitialised()) == true else { continue }
            do throws(BackendError) {
                let keys = Set(try await copy.list(.key).map(\.name))
                isAnyKeyThere = isAnyKeyThere || !keys.isEmpty
                guard drive == nil || drive == copy.drive.id else { continue }
                for key in hold.seed?.keys ?? [] {
                    let file = FileName(.key, key.id)
                    if !keys.contains(file) { add(.missing(file), on: copy.drive.id) }
                }
                if try await copy.list(.config).isEmpty {
                    add(.missing(.config), on: copy.drive.id)
                }
            } catch {
                add(behind: [copy.drive.id: error])
            }
        }
        guard !isAnyKeyThere, let first = hold.copies.first else { return }
        lines.append(
            Line(drive: first.drive.id, file: nil, problem: "no_key", hasGoodCopy: false))
    }

    /// Adds what one drive's own files tell. Findings that name a file already named are left out.
    mutating func addStructure(
        of copy: DriveBackend, _ hold: OwnerHold, readData: Bool,
        events: @escaping RunEventSink
    ) async {
        let check = StructureCheck(
            backend: copy, masterKey: hold.key, readData: readData,
            progress: { done, total in
                events(
                    .progress(
                        RunProgress(phase: .checking, bytesDone: done, bytesTotal: total)))
            })
        do throws(BackendError) {
            let report = try await check.run()
            bytesRead += report.bytesRead
            add(.success(report), on: copy.drive.id, isProven: readData)
        } catch {
            add(.failure(error), on: copy.drive.id, isProven: false)
        }
    }

    /// Adds what one drive's own files told; `isProven` when every pack was read for it.
    mutating func add(
        _ structure: Result<StructureReport, BackendError>, on drive: DriveID, isProven: Bool
    ) {
        switch structure {
        case .failure(let error): add(behind: [drive: error])
        case .success(let report):
            for finding in report.findings { add(finding, on: drive) }
            if report.isInterrupted {
                outcomes.insert(.interrupted)
            } else {
                structured.insert(drive)
                if isProven { proven.insert(drive) }
            }
        }
    }

    private mutating func add(_ finding: Finding, on drive: DriveID) {
        func isNamed(_ file: FileName) -> Bool {
            lines.contains { $0.drive == drive && $0.file == file }
        }
        switch finding {
        case .damaged(let file, _):
            guard !isNamed(file) else { return }
            lines.append(Line(drive: drive, file: file, problem: "damaged", hasGoodCopy: true))
        case .missing(let file):
            guard !isNamed(file) else { return }
            lines.append(Line(drive: drive, file: file, problem: "missing", hasGoodCopy: true))
        case .lostBlob(let blob): lostBlobs[drive, default: []].append(blob)
        case .note: break
        }
    }

    /// Decides, once every drive was looked at, what has a good copy elsewhere: a file that all
    /// drives have damaged has none, nor has a blob that all drives lack. The box's own config
    /// and keys are a copy too; and what a lost pack or index held is lost only if a snapshot
    /// needs it and no other pack has it.
    mutating func settle(drives: [DriveID], box hold: OwnerHold) {
        addLostBlobs(drives)
        let isContentWhole = lostKeys.isEmpty && structured.isSuperset(of: drives)
        for index in lines.indices {
            guard let file = lines[index].file else { continue }
            if hold.seed?.has(file, hold.configJudge) == true {
                lines[index].hasGoodCopy = true
                continue
            }
            if lines[index].hasGoodCopy {
                let bad = Set(lines.filter { $0.file == file }.map(\.drive))
                lines[index].hasGoodCopy = !drives.allSatisfy(bad.contains)
            }
            if isContentWhole, file.kind == .index || isAccountedFor(file, on: drives) {
                lines[index].hasGoodCopy = true
            }
        }
        judge()
    }

    /// Whether the look at the drives' own files knew that a lost pack gives nothing: it was read
    /// there, or its absence or size shows.
    private func isAccountedFor(_ file: FileName, on drives: [DriveID]) -> Bool {
        file.kind == .data
            && (proven.isSuperset(of: drives)
                || lines.allSatisfy {
                    $0.file != file || ["missing", "wrong_size"].contains($0.problem)
                })
    }

    private mutating func judge() {
        if lines.contains(where: { !$0.hasGoodCopy }) { outcomes.insert(.damageLost) }
        if lines.contains(where: \.hasGoodCopy) { outcomes.insert(.damageRecoverable) }
    }

    /// With a good copy elsewhere the damaged pack or index is named already.
    private mutating func addLostBlobs(_ drives: [DriveID]) {
        let lost = lostBlobs.mapValues { Set($0.map(\.key)) }
        for (drive, blobs) in lostBlobs.sorted(by: { $0.key < $1.key }) {
            for blob in blobs
            where drives.allSatisfy({ lost[$0]?.contains(blob.key) ?? false }) {
                lostKeys.insert(blob.key)
                lines.append(
                    Line(
                        drive: drive, file: nil, problem: "lost_blob", hasGoodCopy: false,
                        paths: blob.paths.map(\.description)))
            }
        }
        lostBlobs = [:]
    }

    private static func line(_ finding: CopyFinding) -> Line {
        let problem =
            switch finding.problem {
            case .missing: "missing"
            case .wrongSize: "wrong_size"
            case .wrongHash: "wrong_hash"
            case .unreadable: "unreadable"
            }
        return Line(
            drive: finding.drive, file: finding.file, problem: problem,
            hasGoodCopy: finding.hasGoodCopy)
    }
}
