import BackupCore

extension Programme {
    /// The cable of an iPhone breaks.
    static let lostLines = Programme(
        name: "lost-lines",
        summary: "an iPhone's cable breaks at any byte or stage of its own backup",
        trials: 200, slice: 5
    ) { options in
        let box = try LineBox(in: options.ownFolder("lines"))
        return try await options.count { number in
            var trial = LineTrial(box, numbers: TrialNumbers(seed: options.seed, trial: number))
            let problems = try trial.run(isJudged: number % 5 == 3)
            return TrialResult(
                problems: problems.map { "\(trial.story): \($0)" }, counts: trial.counts)
        }
    }
}

/// One trial: the cable breaks during a first or a later backup, perhaps twice; what there was
/// before stays as it was, and the next run makes a whole backup.
struct LineTrial {
    private static let stages = [
        "hello", "request", "prompt", "status", "manifest", "space", "prepare", "upload", "seal",
        "move", "remove", "finish", "response",
    ]
    private let box: LineBox
    private var numbers: TrialNumbers
    private var problems: [String] = []
    private(set) var counts: [String] = []
    private var snapshotCount = 0
    /// The newest backup as it is restored.
    private var newest: [String: [UInt8]?]?
    /// Where the cable broke, for a failure's message.
    private(set) var story = ""

    init(_ box: LineBox, numbers: TrialNumbers) {
        self.box = box
        self.numbers = numbers
    }

    /// Gives what broke, empty when all is well.
    mutating func run(isJudged: Bool) throws -> [String] {
        let isFirst = numbers.chance(25)
        counts.append(isFirst ? "first backup" : "incremental")
        story = counts[0]
        box.putBack(as: isFirst ? "empty" : "whole")
        snapshotCount = isFirst ? 0 : 1
        newest = isFirst ? nil : try box.newest()
        try box.control("backup", "use", "\(1 + numbers.below(20))")
        for _ in 0..<(numbers.chance(25) ? 2 : 1) { try lose(isFirst) }
        try expectDone(try box.backUp(), "the next run")
        if isJudged { try judge() }
        return problems
    }

    /// A run whose cable breaks: what there was before stays as it was.
    private mutating func lose(_ isFirst: Bool) throws {
        try breakCable(isFirst)
        let end = try box.backUp(wait: 1)
        // Out first: a break that did not come is forgotten then.
        try box.control("unplug")
        try box.control("replug")
        if end.code == 0 {
            // Either nothing broke before the phone was done, or this is a lie.
            counts.append("done all the same")
            try expectDone(end, "the run")
            return try judge()
        }
        if ![21, 50].contains(end.code) { problems.append("the run ends with \(end.story)") }
        try expectListed("after \(end.story)")
        if let newest, try box.newest() != newest {
            problems.append("the backup before is not what it was")
        }
    }

    private mutating func expectDone(_ end: TrialProcess.End, _ what: String) throws {
        if end.code != 0 { problems.append("\(what) ends with \(end.story)") }
        snapshotCount += 1
        newest = try box.newest()
        if newest == nil { problems.append("\(what) left nothing that is restored") }
        try expectListed("after \(what)")
    }

    private mutating func expectListed(_ when: String) throws {
        let listed = try box.snapshots()
        if listed.count != snapshotCount || !listed.areComplete {
            problems.append("\(listed.count) snapshots are listed \(when)")
        }
    }

    private mutating func breakCable(_ isFirst: Bool) throws {
        if numbers.chance(30) {
            let stage = numbers.pick(Self.stages)
            counts.append("at a stage")
            story += ", at \(stage)"
            try box.control("unplug-at", "backup." + stage)
        } else {
            // As many as travel, and some more.
            let bytes = numbers.below(numbers.chance(50) ? 40_000 : isFirst ? 3_600_000 : 900_000)
            counts.append("at a byte")
            story += ", after \(bytes) bytes"
            try box.control("unplug-after", "\(bytes)", "com.apple.mobilebackup2")
        }
    }

    private mutating func judge() throws {
        counts.append("restored to a phone")
        if let difference = try box.differenceOnTheSecondPhone() { problems.append(difference) }
        guard TrialRestic.isInstalled else { return }
        for drive in ["a", "b"] {
            if let wrong = try box.judged(drive) { problems.append(wrong) }
        }
    }
}
