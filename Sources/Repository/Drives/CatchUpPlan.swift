import BackupCore

/// Which files each drive lacks or has bad.
struct CatchUpPlan: Sendable {
    private(set) var missing: [DriveID: [FileKind: [FileName]]] = [:]
    let bad: [DriveID: Set<FileName>]
    private(set) var fileCount = 0
    private(set) var byteCount: UInt64 = 0

    init(
        _ surveys: [CopySurvey], bad: [DriveID: Set<FileName>], tombstones: Set<FileName>
    ) {
        self.bad = bad
        var union: [FileName: UInt64] = [:]
        for survey in surveys {
            for (file, size) in survey.sizes where bad[survey.drive]?.contains(file) != true {
                guard file.kind == .key || !tombstones.contains(file) else { continue }
                union[file] = size
            }
        }
        for survey in surveys {
            for (file, size) in union {
                let isBad = bad[survey.drive]?.contains(file) == true
                guard isBad || survey.sizes[file] == nil && !tombstones.contains(file) else {
                    continue
                }
                missing[survey.drive, default: [:]][file.kind, default: []].append(file)
                fileCount += 1
                byteCount += size
            }
        }
    }
}

/// Brings one drive what it lacks of one kind.
struct CatchUpLane: Sendable {
    struct Outcome: Sendable {
        let drive: DriveID
        var copied = CatchUpReport.Copied()
        var repaired: [CopyFinding] = []
        var skipped: [CopyFinding] = []
        var behind: [DriveID: BackendError] = [:]
    }

    let target: CopySurvey
    let surveys: [CopySurvey]
    let plan: CatchUpPlan
    /// Indexes that are on their way out.
    let superseded: Set<FileName>
    let judge: ConfigJudge
    let progress: CopyProgress

    func run(_ kind: FileKind) async -> Outcome {
        var outcome = Outcome(drive: target.drive)
        for file in (plan.missing[target.drive]?[kind] ?? []).sorted()
        where !superseded.contains(file) {
            guard !Task.isCancelled else { return outcome }
            await copy(file, &outcome)
            guard outcome.behind[target.drive] == nil else { return outcome }
        }
        do throws(BackendError) {
            try await target.backend.flush()
        } catch {
            outcome.behind[target.drive] = error
        }
        return outcome
    }

    /// Tries every drive that has the file.
    private func copy(_ file: FileName, _ outcome: inout Outcome) async {
        var unreadable: BackendError?
        let isBad = plan.bad[target.drive]?.contains(file) == true
        for source in surveys where source.sizes[file] != nil {
            guard plan.bad[source.drive]?.contains(file) != true,
                outcome.behind[source.drive] == nil
            else { continue }
            let transfer = FileTransfer(
                file: file, source: source.backend, target: target.backend, isKnownBad: isBad,
                judge: judge)
            do throws(FileTransfer.Failure) {
                let byteCount = try await transfer.run()
                outcome.copied.files += 1
                outcome.copied.bytes += byteCount
                if isBad { outcome.repaired.append(finding(file, .wrongSize, isGood: true)) }
                progress.add(files: 1, bytes: byteCount)
                return
            } catch {
                switch error {
                case .cancelled: return
                case .target(let cause):
                    outcome.behind[target.drive] = cause
                    return
                case .source(let cause) where cause.code == .absent:
                    outcome.behind[source.drive] = cause
                case .source(let cause): if cause.code != .damaged { unreadable = cause }
                }
            }
        }
        outcome.skipped.append(finding(file, isBad ? .wrongSize : .missing, isGood: false))
        guard let unreadable, [.data, .index].contains(file.kind) else { return }
        // The file is whole perhaps, so what is stored next may refer to it, and this drive would
        // then hold a snapshot that lacks it.
        outcome.behind[target.drive] = target.backend.drive.system.error(
            unreadable.code, "it lacks \(file.relativePath), which another drive cannot read",
            nativeCode: unreadable.nativeCode)
    }

    private func finding(
        _ file: FileName, _ problem: CopyFinding.Problem, isGood: Bool
    ) -> CopyFinding {
        CopyFinding(
            drive: target.drive, file: file, problem: problem, hasGoodCopy: isGood)
    }
}
