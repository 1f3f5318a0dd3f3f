import Testing

/// This checkout keeps the product's rules. Whether a rule can fail at all is what
/// ``RuleTests`` shows.
@Suite struct CheckoutTests {
    private static let product = SwiftSource.all(in: .this, under: "Sources")

    @Test func importsGoOneWayOnly() {
        #expect(!Self.product.isEmpty)
        #expect(CodeRules.imports(Self.product) == [])
    }

    @Test func eachForeignLibraryIsKnownToOneFile() {
        #expect(CodeRules.foreignLibraries(Self.product) == [])
    }

    @Test func oneFileNamesTheDeviceFamilies() {
        #expect(CodeRules.composition(Self.product) == [])
    }

    @Test func sharedDeclarationsAreDocumented() {
        #expect(CodeRules.documentation(Self.product) == [])
    }

    @Test func nothingIsForced() {
        #expect(CodeRules.forcing(Self.product) == [])
    }

    @Test func whatTheCompilerCannotCheckHasAReason() {
        #expect(CodeRules.reasons(Self.product) == [])
    }

    @Test func noModuleHasATypeOfItsOwnName() {
        #expect(CodeRules.typesNamedAsTheirModule(Self.product) == [])
    }

    @Test func filesStayShort() {
        #expect(CodeRules.lengths(SwiftSource.all(in: .this, under: "Tests")) == [])
        #expect(CodeRules.lengths(Self.product) == [])
    }

    @Test func theRootHoldsTheLayout() {
        #expect(TreeRules.topLevel(.this) == [])
    }

    @Test func everyLibraryHasTests() {
        #expect(TreeRules.testTargets(.this) == [])
    }

    @Test func nothingIsLeftUndone() {
        #expect(TreeRules.leftUndone(.this) == [])
    }

    @Test func noMachineIsNamed() {
        #expect(TreeRules.machinePaths(.this) == [])
    }

    @Test func mutantsStandWhereTheirLinesAre() {
        #expect(TreeRules.mutants(.this) == [])
    }

    @Test func theReadmesCommandsExist() {
        #expect(TreeRules.commands(.this) == [])
    }

    @Test func documentsLinkToWhatIsThere() {
        #expect(TreeRules.links(.this) == [])
    }

    @Test func decisionRecordsAreWhole() {
        #expect(TreeRules.decisions(.this) == [])
    }

    @Test func exitCodesAreDocumented() {
        #expect(TreeRules.exitCodes(.this) == [])
    }

    @Test func commandsAreDocumented() {
        #expect(TreeRules.documentedCommands(.this) == [])
    }
}
